package log_test

import (
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// TestModel holds the model to histories that can be, and that cannot.
func TestModel(t *testing.T) {
	one, both := []schema.Instance{16}, []schema.Instance{16, 17}
	ask := func(row string, ids []schema.Instance) question {
		return question{kind: appends, row: row, ids: ids, keyed: row[0] == 'k'}
	}
	done := func(seqs ...schema.Seq) reply { return reply{outcome: acked, seqs: seqs} }
	look := question{kind: reads, ids: one}
	sees := func(current bool, rows ...string) reply {
		return reply{outcome: acked, rows: rows, next: schema.Seq(len(rows)), current: current}
	}
	tail := question{kind: tails, ids: one}
	at := func(next schema.Seq) reply { return reply{outcome: acked, next: next, current: true} }
	if0 := question{kind: appends, row: "c", ids: one, ifSeq: &log.IfSeq{Instance: 16}}
	for _, c := range []struct {
		what string
		last []string // of 16
		can  bool
		ops  []operation
	}{
		{"one after the other", []string{"a", "b"}, true, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, ask("b", both), done(1, 0)}, {1, 5, 6, look, sees(true, "a", "b")}, {1, 7, 8, tail, at(2)}}},
		{"lost", []string{"b"}, false, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, ask("b", one), done(0)}}},
		{"twice", []string{"k", "k"}, false, []operation{
			{0, 1, 2, ask("k", one), done(0)}, {0, 3, 4, ask("k", one), done(1)}}},
		{"a retry", []string{"k"}, true, []operation{
			{0, 1, 2, ask("k", one), reply{}}, {0, 3, 4, ask("k", one), done(0)}}},
		{"out of order", []string{"b", "a"}, false, []operation{
			{0, 1, 2, ask("a", one), done(1)}, {0, 3, 4, ask("b", one), done(0)}}},
		{"at the same time", []string{"b", "a"}, true, []operation{
			{0, 1, 4, ask("a", one), done(1)}, {1, 2, 3, ask("b", one), done(0)}}},
		{"torn", []string{"a", "b"}, false, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, ask("b", both), done(1, 1)}}},
		{"unknown, later there", []string{"b", "a"}, true, []operation{
			{0, 1, 2, ask("a", one), reply{}}, {0, 3, 4, tail, at(0)}, {0, 5, 6, ask("b", one), done(0)}, {0, 7, 8, look, sees(true, "b", "a")}}},
		{"unknown, seen and gone", nil, false, []operation{
			{0, 1, 2, ask("a", one), reply{}}, {0, 3, 4, look, sees(true, "a")}, {0, 5, 6, tail, at(0)}}},
		{"the owner is behind", []string{"a"}, false, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, tail, at(0)}}},
		{"who was replaced is behind", []string{"a"}, true, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, tail, reply{outcome: acked}}}},
		{"behind what was asked for", []string{"a"}, false, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, question{kind: reads, ids: one, least: 1}, sees(false)}}},
		{"refused", []string{"a"}, true, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, if0, reply{outcome: failed, next: 1, current: true}}}},
		{"refused for no reason", nil, false, []operation{{0, 1, 2, if0, reply{outcome: failed, current: true}}}},
		{"not refused", []string{"a", "c"}, false, []operation{
			{0, 1, 2, ask("a", one), done(0)}, {0, 3, 4, if0, done(1)}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			last := streams{16: c.last}
			for _, o := range c.ops {
				if len(o.asked.ids) == 2 {
					last[17] = append(last[17], o.asked.row)
				}
			}
			r := recorder{done: append(c.ops, operation{2, 9, 10, look, sees(true, c.last...)})}
			if can := porcupine.CheckOperations(linear(last), r.operations()); can != c.can {
				t.Errorf("can be: %v, want %v", can, c.can)
			}
		})
	}
}
