package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	icebergio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// freshnessReaders is how many query at the same time.
const freshnessReaders = 4

// freshnessDeadline is when a row that is not seen is lost.
const freshnessDeadline = 30 * time.Second

// sample writes a row to a collection at random, over HTTP, and queries its table
// until the row is there; then once more, when nothing is left to be flushed but
// what others write meanwhile. It does so until ctx ends.
func (b *freshnessBench) sample(ctx context.Context, reader int) error {
	r := mathrand.New(mathrand.NewPCG(b.o.Seed, 1<<32+uint64(reader)))
	client := &http.Client{Transport: &http.Transport{}, Timeout: freshnessDeadline}
	defer client.CloseIdleConnections()
	start := time.Now()
	for n := reader; ; n += freshnessReaders {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(b.o.Queries))
		if wait(ctx, time.Until(due)) != nil {
			return nil
		}
		late, again, err := b.sampleOne(context.WithoutCancel(ctx), client, collectionName(r.IntN(b.o.Collections)), fmt.Sprintf("q%d", n))
		if err != nil {
			return err
		}
		b.visible.add(reader, late)
		b.again.add(reader, again)
	}
}

func (b *freshnessBench) sampleOne(ctx context.Context, client *http.Client, name, id string) (late, again time.Duration, err error) {
	url := fmt.Sprintf("%s/v1/tenants/%s/collections/%s/records", b.rig.url, tenant, name)
	record := strings.Replace(tinyRecord, "only", id, 1)
	if _, err := ask(ctx, client, http.MethodPost, url, record); err != nil {
		return 0, 0, err
	}
	acknowledged := time.Now()
	b.queries.Add(1)
	b.asked.Store(name, true)
	for seen := false; !seen; {
		if b.tries.Add(1); time.Since(acknowledged) > freshnessDeadline {
			return 0, 0, fmt.Errorf("table of %s: the row %s, which was acknowledged, is not there after %v", name, id, freshnessDeadline)
		}
		if seen, err = b.query(ctx, client, name, id); err != nil {
			return 0, 0, err
		}
	}
	late = time.Since(acknowledged)
	start := time.Now()
	if _, err := b.query(ctx, client, name, id); err != nil {
		return 0, 0, err
	}
	return late, time.Since(start), nil
}

// query asks for a row as an SQL engine does: the table from the REST catalog, then
// its manifests and data files from the store. It reports whether the row is there.
func (b *freshnessBench) query(ctx context.Context, client *http.Client, name, id string) (bool, error) {
	body, err := ask(ctx, client, http.MethodGet, fmt.Sprintf("%s/iceberg/v1/namespaces/%s/tables/%s", b.rig.url, tenant, name), "")
	if err != nil {
		return false, err
	}
	var answer struct {
		Location string          `json:"metadata-location"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return false, fmt.Errorf("table of %s: %w", name, err)
	}
	meta, err := table.ParseMetadataBytes(answer.Metadata)
	if err != nil {
		return false, fmt.Errorf("table of %s: %w", name, err)
	}
	t := table.New(table.Identifier{tenant, name}, meta, answer.Location, icebergio.LoadFSFunc(nil, answer.Location), nil)
	_, batches, err := t.Scan(table.WithRowFilter(iceberg.EqualTo(iceberg.Reference("id"), id))).ToArrowRecords(ctx)
	if err != nil {
		return false, fmt.Errorf("scan the table of %s: %w", name, err)
	}
	rows := int64(0)
	for batch, err := range batches {
		if err != nil {
			return false, fmt.Errorf("scan the table of %s: %w", name, err)
		}
		rows += batch.NumRows()
		batch.Release()
	}
	return rows > 0, nil
}

// ask sends a request and gives the body of its answer, which must be a success.
func ask(ctx context.Context, client *http.Client, method, url, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.500s", res.Status, data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	return data, nil
}
