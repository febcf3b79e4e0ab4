/*
 * The ownership protocol of a channel, for an exhaustive check with spin.
 *
 * Written apart from the Go model next to it, and smaller: a life of a writer
 * is a process (one that steps down takes over again as another life), a client
 * sends the writes 0, 1, 2, … in order to whoever serves, and what an owner
 * puts at a number follows from where it began. Any process may stand still for
 * ever, and any PUT may stay away for ever: so crashes and lost requests need
 * no steps of their own.
 *
 * N numbers, W PUTs in flight, E lives, K writes; a rule is left out by
 * defining NO_<rule>. See run.sh.
 */
#ifndef N
#define N 4
#endif
#ifndef W
#define W 1
#endif
#ifndef E
#define E 2
#endif
#ifndef K
#define K 2
#endif

/* What is at a number: nothing, a fence, a filler, or DATA + a write. */
#define ABSENT 0
#define FENCE  1
#define FILLER 2
#define DATA   3

/* What is heard of a PUT. DEAF: nobody waits for it any more, or yet. */
#define DEAF     0
#define WAITING  1
#define STORED   2
#define OCCUPIED 3

#define AT(e, n) (((e) - 1) * (N + 1) + (n))

byte kind[N + 2], epoch[N + 2];         /* the chunks */
byte flying[E * (N + 1) + 1];           /* what life e has under way to number n */
byte heard[E * (N + 1) + 1];
byte head_epoch = 1, head_floor;
byte arch_count, arch_high;             /* what chunks up to the floor come to */
byte acked_at[K], acked_by[K];          /* number, epoch; 0: not acknowledged */
byte begins[E + 1] = 255;               /* first write of a life that serves */
byte r_next = 1, r_count, r_high;       /* a reader */
byte g_next = 1, g_count, g_high;       /* GC, which reads too */

#ifdef NO_VOID
#define COUNTS(k, e, high) ((k) >= DATA)
#else
#define COUNTS(k, e, high) ((k) >= DATA && (e) >= (high))
#endif

#ifdef NO_SAVEEPOCH
#define SAVED_HIGH 0
#else
#define SAVED_HIGH arch_high
#endif

#ifdef NO_REREADEPOCH
#define MINE(e) true
#else
#define MINE(e) (head_epoch == e)
#endif

/* A reader adds a chunk to what it knows: writes are there once, in order. */
inline fold(k, e, count, high) {
	if
	:: COUNTS(k, e, high) -> assert((k) - DATA == count); count++
	:: else
	fi;
	if
	:: (e) > high -> high = e
	:: else
	fi
}

/* A reader that is past an acknowledged write has it. */
inline passed(next, count) {
	i = 0;
	do
	:: i < K -> assert(!(acked_at[i] > 0 && acked_at[i] < next && count <= i)); i++
	:: else -> break
	od;
	i = 0
}

/* Life e acknowledges write w, which it has at number n. */
inline ack(e, w, n) {
	d_step {
		if
		:: acked_at[w] == 0 -> acked_at[w] = n; acked_by[w] = e
		:: else
		fi;
		assert(w == begins[e] || acked_at[w - 1] > 0);
		assert((n > head_floor && kind[n] == DATA + w && epoch[n] == e) || arch_count > w);
		assert(!(r_next > n && r_count <= w));
		assert(!(g_next > n && g_count <= w));
		i = e + 1;
		do
		:: i <= E -> assert(begins[i] == 255 || begins[i] > w); i++
		:: else -> break
		od;
		i = 0
	}
}

inline send(e, n, what) {
	flying[AT(e, n)] = what; heard[AT(e, n)] = WAITING
}

/* One life of a writer: the first begins as the owner. */
proctype life(byte e) {
	byte at, last, next = 1, first = 1, count, high, base, i;
	bool fenced, checked;
	bool done[N + 2];

	if
	:: e == 1 -> begins[1] = 0; goto serve
	:: else
	fi;

	d_step { head_epoch++; e = head_epoch; at = head_floor + 1 }
walk:
	if
	:: at > N -> goto end
	:: at <= N && kind[at] == ABSENT
	:: at <= N && kind[at] != ABSENT && epoch[at] > e -> goto end
	:: at <= N && kind[at] != ABSENT && epoch[at] <= e -> at++; goto walk
	fi;
	last = at;
#ifdef NO_FENCE
	last = at - 1;
	goto check;
#endif
fence:
	atomic { at <= N -> send(e, at, FENCE) }
	if
	:: atomic { heard[AT(e, at)] == STORED || heard[AT(e, at)] == OCCUPIED && kind[at] == FENCE && epoch[at] == e -> heard[AT(e, at)] = DEAF }
	:: heard[AT(e, at)] == OCCUPIED && (kind[at] == ABSENT || (epoch[at] >= e && !(kind[at] == FENCE && epoch[at] == e))) -> goto end
	:: heard[AT(e, at)] == OCCUPIED && kind[at] != ABSENT && epoch[at] < e -> heard[AT(e, at)] = DEAF; at++; last = at; goto fence
	fi;
#ifdef NO_FILLLAST
	goto fill;
#endif
check:
#ifndef NO_REREAD
	if
	:: MINE(e) && head_floor < at
	:: else -> goto end
	fi;
#endif
	checked = true;
#ifdef NO_FENCE
	goto replay;
#endif
#ifdef NO_FILLLAST
	goto replay;
#endif
fill:
#ifndef NO_FILL
	do
	:: last < at + W - 1 && last < N ->
		atomic { last++; send(e, last, FILLER) }
		if
		:: heard[AT(e, last)] == OCCUPIED && (kind[last] == ABSENT || epoch[last] > e) -> goto end
		:: atomic { heard[AT(e, last)] == STORED || heard[AT(e, last)] == OCCUPIED && kind[last] != ABSENT && epoch[last] <= e ->
			heard[AT(e, last)] = DEAF }
		fi
	:: else -> break
	od;
#endif
#ifdef NO_FILLLAST
	if
	:: !checked -> goto check
	:: else
	fi;
#endif
replay:
	skip;
	d_step {
		count = arch_count; high = SAVED_HIGH; i = head_floor + 1;
		if
		:: head_floor > last -> fenced = true
		:: else
		fi;
		do
		:: !fenced && i <= last ->
			if
			:: kind[i] == ABSENT -> fenced = true
			:: else -> fold(kind[i], epoch[i], count, high)
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: !fenced && i < K -> assert(acked_at[i] == 0 || acked_by[i] >= e || i < count); i++
		:: else -> break
		od;
		i = 0; at = 0; high = 0;
		if
		:: !fenced -> begins[e] = count; base = last + 1 - count; next = last + 1; first = next
		:: else
		fi;
		count = 0
	}
	if
	:: fenced -> goto end
	:: else
	fi;
	d_step { base = next - begins[e]; last = 0; checked = false }
serve:
	if
	:: e == 1 && base == 0 -> base = 1
	:: else
	fi;
	do
	:: atomic { next - first < W && next <= N && next - base < K -> send(e, next, DATA + next - base); next++ }
	:: atomic { first < next && heard[AT(e, first)] == STORED ->
		if
		:: !done[first] -> ack(e, first - base, first)
		:: else -> done[first] = false
		fi;
		heard[AT(e, first)] = DEAF; first++ }
#ifdef NO_ACKPREFIX
	:: atomic { first + 1 < next && heard[AT(e, first + 1)] == STORED && !done[first + 1] ->
		done[first + 1] = true; ack(e, first + 1 - base, first + 1) }
#endif
	:: atomic { first < next && heard[AT(e, first)] == OCCUPIED -> at = first }
		goto met;
	:: atomic { first + 1 < next && heard[AT(e, first + 1)] == OCCUPIED -> at = first + 1 }
		goto met
	od;
met:
	atomic {
		if
#ifdef NO_READOCCUPANT
		:: true -> heard[AT(e, at)] = STORED; at = 0; goto serve
#else
		:: kind[at] == (DATA + at - base) && epoch[at] == e -> heard[AT(e, at)] = STORED; at = 0; goto serve
#endif
#ifdef NO_STEPDOWN
		:: !(kind[at] == (DATA + at - base) && epoch[at] == e) && at == first && next == first + 1 && next <= N ->
			base++; first = next; send(e, next, DATA + next - base); next++; at = 0; goto serve
#endif
		:: else -> goto end
		fi
	}
end:
	skip;
	d_step {
		i = 1;
		do
		:: i <= N -> heard[AT(e, i)] = DEAF; done[i] = false; i++
		:: else -> break
		od;
		i = 0; at = 0; last = 0; next = 0; first = 0; count = 0; high = 0; base = 0; fenced = false; checked = false
	}
}

/* A PUT lands, once or again and again; its answer may be lost. */
#define LAND(e, n) atomic { flying[AT(e, n)] != 0 -> \
		if \
		:: kind[n] == ABSENT -> kind[n] = flying[AT(e, n)]; epoch[n] = e; got = STORED \
		:: else -> got = OCCUPIED \
		fi; \
		if \
		:: heard[AT(e, n)] == WAITING -> heard[AT(e, n)] = got \
		:: true /* the answer is lost */ \
		fi; \
		if \
		:: flying[AT(e, n)] = 0 \
		:: true /* it was sent more than once */ \
		fi; \
		got = 0 }

proctype net() {
	byte got;
	do
	:: LAND(1, 1)
	:: LAND(1, 2)
	:: LAND(1, 3)
#if N > 3
	:: LAND(1, 4)
#endif
#if N > 4
	:: LAND(1, 5)
#endif
	:: LAND(2, 1)
	:: LAND(2, 2)
	:: LAND(2, 3)
#if N > 3
	:: LAND(2, 4)
#endif
#if N > 4
	:: LAND(2, 5)
#endif
#if E > 2
	:: LAND(3, 1)
	:: LAND(3, 2)
	:: LAND(3, 3)
#if N > 3
	:: LAND(3, 4)
#endif
#if N > 4
	:: LAND(3, 5)
#endif
#endif
	od
}

proctype reader() {
	byte k, e, i;
	do
	:: atomic { r_next <= N && kind[r_next] != ABSENT -> k = kind[r_next]; e = epoch[r_next] }
#ifndef NO_READFLOOR
		if
		:: d_step { head_floor >= r_next -> r_next = head_floor + 1; r_count = arch_count; r_high = SAVED_HIGH; k = 0; e = 0 }
		:: d_step { head_floor < r_next -> fold(k, e, r_count, r_high); r_next++; k = 0; e = 0; passed(r_next, r_count) }
		fi
#else
		d_step { fold(k, e, r_count, r_high); r_next++; k = 0; e = 0; passed(r_next, r_count) }
#endif
	:: d_step { r_next <= N && kind[r_next] == ABSENT && head_floor >= r_next ->
		r_next = head_floor + 1; r_count = arch_count; r_high = SAVED_HIGH; passed(r_next, r_count) }
	od
}

#ifdef NO_FLOORFIRST
#define DELETABLE g_next
#else
#define DELETABLE (head_floor + 1)
#endif

#ifdef NO_KEEPFENCES
#define KEPT ABSENT
#else
#define KEPT FENCE
#endif

#define DELETE(n) d_step { n < DELETABLE && kind[n] > KEPT -> kind[n] = ABSENT; epoch[n] = 0 }

proctype gc() {
	byte i;
	do
	:: d_step { g_next <= N && kind[g_next] != ABSENT ->
		fold(kind[g_next], epoch[g_next], g_count, g_high); g_next++; passed(g_next, g_count) }
	:: d_step { head_floor < g_next - 1 -> head_floor = g_next - 1; arch_count = g_count; arch_high = g_high }
	:: DELETE(1)
	:: DELETE(2)
	:: DELETE(3)
#if N > 3
	:: DELETE(4)
#endif
#if N > 4
	:: DELETE(5)
#endif
	od
}

init {
	byte e = 1;
	atomic {
		begins[0] = 0;
		do
		:: e <= E -> run life(e); e++
		:: else -> break
		od;
		run net();
#ifndef NO_READER
		run reader();
#endif
#ifndef NO_GC
		run gc()
#endif
	}
}
