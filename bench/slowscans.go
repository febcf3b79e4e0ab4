package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// readSlowly opens scans of all, reads a little of each in turn for a while, and tells
// the most memory that the process had meanwhile, files not counted.
func (b *scanBench) readSlowly(ctx context.Context, budget time.Duration) (peak int64, err error) {
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close() // it was given up
		}
	}()
	for range slowScans {
		c, err := b.slowConn(ctx)
		if err != nil {
			return 0, err
		}
		conns = append(conns, c)
	}
	piece := make([]byte, slowPiece)
	for begin := time.Now(); time.Since(begin) < budget && ctx.Err() == nil; {
		for _, c := range conns {
			if _, err := c.Read(piece); err != nil && !errors.Is(err, io.EOF) {
				return 0, fmt.Errorf("read slowly: %w", err)
			}
		}
		_, now, err := residentBytes(os.Getpid())
		if err != nil {
			return 0, err
		}
		peak = max(peak, now)
	}
	return peak, nil
}

// slowConn asks for all rows. The kernel holds little of the answer.
func (b *scanBench) slowConn(ctx context.Context) (net.Conn, error) {
	host := strings.TrimPrefix(b.rig.url, "http://")
	c, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("read slowly: %w", err)
	}
	if err := c.(*net.TCPConn).SetReadBuffer(slowPiece); err != nil {
		return nil, errors.Join(fmt.Errorf("read slowly: %w", err), c.Close())
	}
	_, err = fmt.Fprintf(c, "GET /v1/tenants/%s/collections/%s/scan HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", b.coll.Tenant, b.coll.Name, host)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read slowly: %w", err), c.Close())
	}
	return c, nil
}
