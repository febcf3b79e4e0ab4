package log

// Held tells how much the channel keeps in memory: entries for collections and
// for keys, and chunks.
func (c *Channel) Held() (collections, keys, chunks int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.seqs.entries), len(c.dedup), len(c.tail.chunks)
}
