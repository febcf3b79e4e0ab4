package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// followEngine follows as a request's handler does.
func (b *followBench) followEngine(ctx context.Context, c *schema.Collection, from schema.Seq, ready func(), deliver func(schema.Seq)) error {
	ready()
	for ch, err := range b.rig.node.Engine.Changes(ctx, c, sync.ChangesRequest{From: from, Follow: true}) {
		if err != nil {
			return err
		}
		deliver(ch.Seq)
	}
	return nil
}

// followHTTP follows as a client does, over loopback.
func (b *followBench) followHTTP(accept string) func(context.Context, *schema.Collection, schema.Seq, func(), func(schema.Seq)) error {
	return func(ctx context.Context, c *schema.Collection, from schema.Seq, ready func(), deliver func(schema.Seq)) error {
		url := fmt.Sprintf("%s/v1/tenants/%s/collections/%s/log?follow=true&from_seq=%d", b.rig.url, c.Tenant, c.Name, from)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", accept)
		transport := &http.Transport{DisableCompression: true}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("follow %s: %w", c, err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("follow %s: status %s", c, res.Status)
		}
		ready()
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if _, rest, ok := bytes.Cut(lines.Bytes(), []byte(`{"seq":`)); ok {
				digits, _, _ := bytes.Cut(rest, []byte(","))
				seq, err := strconv.ParseUint(string(digits), 10, 64)
				if err != nil {
					return fmt.Errorf("follow %s: %w", c, err)
				}
				deliver(schema.Seq(seq))
			}
		}
		return lines.Err()
	}
}

// stall follows a collection, and never reads what comes.
func (b *followBench) stall(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(b.rig.url, "http://"))
	if err != nil {
		return nil, fmt.Errorf("stall: %w", err)
	}
	_, err = fmt.Fprintf(conn, "GET /v1/tenants/%s/collections/%s/log?follow=true HTTP/1.1\r\nHost: bench\r\n\r\n", tenant, b.stalled.Name)
	return conn, err
}

// flood writes some MB a second to the collection that nobody reads.
func (b *followBench) flood(ctx context.Context, until time.Time) error {
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintln(&lines, strings.Replace(tinyRecord, "only", strconv.Itoa(i)+strings.Repeat("x", 900), 1))
	}
	body := lines.String()
	for ctx.Err() == nil && time.Now().Before(until) {
		_, err := b.rig.node.Writer.Write(context.WithoutCancel(ctx), ingest.Request{
			Tenant: tenant, Collection: b.stalled.Name, Format: "application/x-ndjson",
			Body: strings.NewReader(body), Size: int64(len(body)),
		})
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
