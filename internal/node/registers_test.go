package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// registers is a history of clients over HTTP that write and read rows by key:
// each key is a register, whose history has to be linearizable.
type registers struct {
	pause func(*rand.Rand) // between the accesses of a client; nil: none

	mu    sync.Mutex
	clock int64
	ops   []porcupine.Operation
}

// access is what a client asks of a register.
type access struct {
	key   int
	write bool
	value string // writes: no other write has it; reads: what was found, "" if nothing
}

func (h *registers) tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

// note notes an access; one whose outcome is not known may take effect at any
// time after it was sent, or never.
func (h *registers) note(client int, call int64, a access, known bool) {
	end := h.tick()
	if !known {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: a, Call: call, Return: end})
}

var register = porcupine.Model{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, op := range ops {
			k := op.Input.(access).key
			byKey[k] = append(byKey[k], op)
		}
		var all [][]porcupine.Operation
		for _, ops := range byKey {
			all = append(all, ops)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, in, _ any) (bool, any) {
		if a := in.(access); a.write {
			return true, a.value
		} else {
			return a.value == state, state
		}
	},
	DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
}

// wanted is how many histories a test makes.
func wanted() int {
	if testing.Short() {
		return min(*histories, 12)
	}
	return *histories
}

// seen are the operations without those that may have had an effect and that
// nobody saw: they can have come last, so they neither help nor harm, and cost the
// search dearly.
func (h *registers) seen() []porcupine.Operation {
	read := map[string]bool{}
	for _, op := range h.ops {
		if a := op.Input.(access); !a.write {
			read[a.value] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(h.ops), func(op porcupine.Operation) bool {
		return op.Return == math.MaxInt64 && !read[op.Input.(access).value]
	})
}

// linearizable checks the histories of all keys, and tells how many there are. If
// one cannot be, it draws a picture.
func (h *registers) linearizable(t *testing.T) int {
	t.Helper()
	made := len(register.Partition(h.ops))
	result, info := porcupine.CheckOperationsVerbose(register, h.seen(), 20*time.Second)
	if result != porcupine.Ok {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("trine-registers-%d.html", os.Getpid()))
		if err := porcupine.VisualizePath(register, info, path); err != nil {
			t.Error(err)
		}
		t.Errorf("%d histories of %d operations: %v; see %s", made, len(h.ops), result, path)
	}
	return made
}

// exchange sends a request to whoever serves now. current tells afterwards
// whether who answered certainly was the owner all the time.
type exchange func(r *http.Request) (status int, body []byte, current bool)

// work lets a client write and read some keys for a number of times. A write is
// sent again under its idempotency key, tries times.
func (h *registers) work(ctx context.Context, client int, r *rand.Rand, send exchange, keys []int, times, tries int) {
	for i := 0; i < times && ctx.Err() == nil; i++ {
		key := keys[r.IntN(len(keys))]
		if r.IntN(2) == 0 {
			h.write(ctx, client, r, send, key, tries)
		} else {
			h.read(ctx, client, send, key)
		}
		h.rest(r)
	}
}

func (h *registers) rest(r *rand.Rand) {
	if h.pause != nil {
		h.pause(r)
	}
}

const items = "/v1/tenants/shop/collections/items/records"

func (h *registers) write(ctx context.Context, client int, r *rand.Rand, send exchange, key, tries int) {
	call := h.tick()
	a := access{key: key, write: true, value: fmt.Sprintf("%d-%d", client, call)}
	unknown := false
	for range tries {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node"+items+"?op=upsert",
			bytes.NewReader(fmt.Appendf(nil, `{"id":%d,"name":%q}`, key, a.value)))
		if err != nil {
			panic(err)
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		req.Header.Set("Idempotency-Key", a.value)
		status, body, _ := send(req)
		if status == http.StatusOK {
			h.note(client, call, a, true)
			return
		}
		var p struct{ Code string }
		if json.Unmarshal(body, &p) != nil || p.Code == "unknown_outcome" || p.Code == "internal" {
			unknown = true // also when there is no answer
		}
		h.rest(r)
	}
	if unknown {
		h.note(client, call, a, false)
	}
}

func (h *registers) read(ctx context.Context, client int, send exchange, key int) {
	call := h.tick()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://node%s/%d", items, key), nil)
	if err != nil {
		panic(err)
	}
	status, body, current := send(req)
	if !current {
		return // who was replaced without knowing it may be behind
	}
	var row struct{ Name string }
	if status == http.StatusNotFound {
		body = []byte("{}")
	} else if status != http.StatusOK {
		return
	}
	if json.Unmarshal(body, &row) == nil {
		h.note(client, call, access{key: key, value: row.Name}, true)
	}
}

// readAll reads the body of an answer, or gives nothing if there is none.
func readAll(resp *http.Response, err error) (int, []byte) {
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}
