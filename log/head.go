package log

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// head is the object that says who owns a channel; see docs/format/head.md.
type head struct {
	Format     int          `json:"format"`
	Channel    uint32       `json:"channel"`
	Generation uint32       `json:"generation"`
	Epoch      schema.Epoch `json:"epoch"`
	Owner      string       `json:"owner"`
	Claim      string       `json:"claim"`
	Floor      uint64       `json:"floor"`
	FloorEpoch schema.Epoch `json:"floor_epoch,omitempty"` // 0 while floor is
	Hint       uint64       `json:"hint"`
	InFlight   int          `json:"in_flight,omitempty"` // in format 1: always 1

	// Of a channel in three zones, which has no hint; see owners.go.
	Zones  []string     `json:"zones,omitempty"`  // their names, sorted
	Sealed uint64       `json:"sealed,omitempty"` // up to here it is decided what counts
	Serves schema.Epoch `json:"serves,omitempty"` // whose chunks count beyond
	Owners []span       `json:"owners,omitempty"` // whose do up to sealed, above the floor
}

const (
	headFormat   = 2
	zonesFormat  = 3 // of a channel in three zones
	maxHeadBytes = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cover lets the head tell that the chunks up to n are durable, and reports
// whether that is news.
func (h *head) cover(n uint64) bool {
	if n <= max(h.Hint, h.Sealed) {
		return false
	}
	if len(h.Zones) > 0 {
		h.own(n)
	} else {
		h.Hint = n
	}
	return true
}

func (h head) encode() ([]byte, error) {
	if h.Format == zonesFormat && !h.validOwners() {
		return nil, fmt.Errorf("encode head: floor %d, hint %d, sealed %d, serves %d, owners %v do not fit together: %w",
			h.Floor, h.Hint, h.Sealed, h.Serves, h.Owners, schema.ErrInvalid)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode head: %w", err)
	}
	if len(line) > maxHeadBytes-10 {
		return nil, fmt.Errorf("encode head: %d spans of owners above floor %d do not fit %d bytes: %w", len(h.Owners), h.Floor, maxHeadBytes, schema.ErrNoSpace)
	}
	return fmt.Appendf(line, "\n%08x\n", crc32.Checksum(line, castagnoli)), nil
}

// decodeHead reads the head of a channel from the object called name.
func decodeHead(name string, channel uint32, data []byte) (head, error) {
	bad := func(why string, args ...any) (head, error) {
		return head{}, fmt.Errorf("head %s: %s: %w", name, fmt.Sprintf(why, args...), schema.ErrCorrupt)
	}
	if len(data) > maxHeadBytes {
		return bad("%d bytes", len(data))
	}
	line, rest, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || len(rest) != 9 || rest[8] != '\n' {
		return bad("cut short or overwritten: %.100q", data)
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], rest[:8]); err != nil || fmt.Sprintf("%08x", crc32.Checksum(line, castagnoli)) != string(rest[:8]) {
		return bad("CRC is %q, the line gives %08x", rest[:8], crc32.Checksum(line, castagnoli))
	}
	var h head
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil || d.InputOffset() != int64(len(line)) {
		return bad("%v", err)
	}
	if h.Format == 1 && h.InFlight == 0 {
		h.Format, h.InFlight = headFormat, 1
	}
	if h.Format != headFormat && h.Format != zonesFormat {
		return head{}, fmt.Errorf("head %s: format %d: %w", name, h.Format, schema.ErrUnsupported)
	}
	if h.Format == zonesFormat && !h.validOwners() {
		return bad("zones %q, sealed %d, serves %d, owners %v do not fit together", h.Zones, h.Sealed, h.Serves, h.Owners)
	}
	if h.Format == headFormat && (h.Hint < h.Floor || h.Zones != nil || h.Owners != nil || h.Sealed > 0 || h.Serves > 0) {
		return bad("floor %d, hint %d, or members of three zones", h.Floor, h.Hint)
	}
	if h.Channel != channel || h.Epoch == 0 || h.InFlight < 1 || h.InFlight > MaxInFlight {
		return bad("it is of channel %d, epoch %d, floor %d, hint %d, %d in flight", h.Channel, h.Epoch, h.Floor, h.Hint, h.InFlight)
	}
	return h, nil
}

// readHead reads the channel's head; a channel without one has epoch 0, and who
// had how many in flight is not known.
func readHead(ctx context.Context, s HeadStore, channel uint32) (head, blob.Version, error) {
	name := chunk.HeadName(channel)
	data, v, err := s.Read(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return head{Format: headFormat, Channel: channel, InFlight: MaxInFlight}, blob.Absent, nil
	}
	if err != nil {
		return head{}, blob.Absent, fmt.Errorf("read head: %w", err)
	}
	h, err := decodeHead(name, channel, data)
	return h, v, err
}

// swap writes h in place of the head of version old.
func (h head) swap(ctx context.Context, s HeadStore, old blob.Version) (blob.Version, error) {
	data, err := h.encode()
	if err != nil {
		return blob.Absent, err
	}
	v, err := s.Swap(ctx, chunk.HeadName(h.Channel), old, data)
	if err != nil {
		return blob.Absent, fmt.Errorf("swap head: %w", err)
	}
	return v, nil
}
