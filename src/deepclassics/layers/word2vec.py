"""word2vec's inner loop in machine code: one pass over a chunk of text, every word an update of its own.

T. Mikolov, K. Chen, G. Corrado, J. Dean, Efficient estimation of word representations in vector space (2013), and T.
Mikolov et al., Distributed representations of words and phrases and their compositionality (2013). numba compiles it
when it is first called, and keeps what it made for the next time.

For the word w in the middle and the words c of its window, h is the mean of their input vectors (CBOW), or each of
them in turn (skip-gram). The targets are w itself and drawn words (negative sampling, 2013b eq. 4), or the inner nodes
of the Huffman tree on the way to w (hierarchical softmax, eq. 3); with t = 1 for "yes" and 0 for "no" and
y = σ(v'·h), every target's vector moves by lr (t - y) h, and the words of the window by lr Σ (t - y) v'.

No row is sliced and no object is made inside: reference counts would be written by all threads at once.

Letters: N words of a chunk, V words of the vocabulary, D numbers of a vector, S numbers of all paths, U output vectors.
"""

import math

import numpy as np
from numba import njit

ONE = np.uint64(1)
HIGH = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}  # sums in any order; what is not finite stays so


@njit(inline="always")
def _stirred(state):  # type: ignore[no-untyped-def]
    """The next state of a generator of 64 bits, never 0 (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@njit(inline="always")
def _mixed(state):  # type: ignore[no-untyped-def]
    """64 good bits of a state (Vigna 2016, xorshift64*)."""
    return state * np.uint64(0x2545F4914F6CDD1D)


@njit(nogil=True, fastmath=FAST, cache=True, error_model="numpy")
def train(  # type: ignore[no-untyped-def]
    ids,  # (N,) int32, below 0 where a line ends
    inputs,  # (V * D,) float32, changed
    outputs,  # (U * D,) float32, changed
    width,  # D
    keep,  # (V,) uint32: of 2^32, how often a word is kept
    chance,  # (V,) uint32: of 2^32, how often a place of the table of drawn words stands for its own word
    other,  # (V,) int32: and for which one else
    starts,  # (V + 1,) int32: where a word's path begins; (1,) for negative sampling
    nodes,  # (S,) int32: the inner nodes on the way
    signs,  # (S,) float32: 1 where the path goes left, 0 where right
    window,
    negative,  # words drawn for each; 0 for hierarchical softmax
    skip,  # whether skip-gram
    mean,  # whether h is the mean of the window, or its sum
    share,  # whether each word of the window gets its share of the movement, or all of it
    rate,
    seed,
):
    """Trains on a chunk. Returns the loss summed over the updates, in nats, and their number."""
    wide = np.uint64(width)
    words = np.uint64(len(keep))
    rate = np.float32(rate)
    zero, one = np.float32(0), np.float32(1)
    state = np.uint64(seed) | ONE
    for _ in range(4):
        state = _stirred(state)
    longest = negative + 1
    if negative == 0:
        for word in range(len(starts) - 1):
            longest = max(longest, starts[word + 1] - starts[word])
    hidden = np.empty(width, np.float32)
    moved = np.empty(width, np.float32)
    begins = np.empty(longest, np.uint64)
    signed = np.empty(longest, np.float32)
    slopes = np.empty(longest, np.float32)
    kept = np.empty(len(ids), np.int32)
    count = 0
    for place in range(len(ids)):
        word = ids[place]
        if word >= 0:
            state = _stirred(state)
            if np.uint64(keep[word]) < (_mixed(state) >> HIGH):
                continue
        kept[count] = word
        count += 1
    loss = 0.0
    updates = 0
    for place in range(count):
        word = kept[place]
        if word < 0:
            continue
        state = _stirred(state)
        reach = window - int(((_mixed(state) >> HIGH) * np.uint64(window)) >> HIGH)
        first = place
        while first > 0 and place - first < reach and kept[first - 1] >= 0:
            first -= 1
        last = place
        while last + 1 < count and last - place < reach and kept[last + 1] >= 0:
            last += 1
        if first == last:
            continue
        sources = last - first
        turns = sources if skip else 1
        for turn in range(turns):
            if skip:
                source = first + turn
                if source >= place:
                    source += 1
                begin = np.uint64(kept[source]) * wide
                for d in range(wide):
                    hidden[d] = inputs[begin + d]
            else:
                for d in range(wide):
                    hidden[d] = zero
                for source in range(first, last + 1):
                    if source != place:
                        begin = np.uint64(kept[source]) * wide
                        for d in range(wide):
                            hidden[d] += inputs[begin + d]
                if mean:
                    scale = one / np.float32(sources)
                    for d in range(wide):
                        hidden[d] *= scale
            if negative > 0:
                begins[0] = np.uint64(word) * wide
                signed[0] = one
                targets = 1
                for _ in range(negative):
                    state = _stirred(state)
                    drawn = _mixed(state)
                    slot = ((drawn >> HIGH) * words) >> HIGH
                    target = np.int32(slot)
                    if (drawn & LOW) > np.uint64(chance[slot]):
                        target = other[slot]
                    if target != word:
                        begins[targets] = np.uint64(target) * wide
                        signed[targets] = zero
                        targets += 1
            else:
                targets = starts[word + 1] - starts[word]
                for step in range(targets):
                    begins[step] = np.uint64(nodes[starts[word] + step]) * wide
                    signed[step] = signs[starts[word] + step]
            for step in range(targets):
                begin = begins[step]
                score = zero
                for d in range(wide):
                    score += hidden[d] * outputs[begin + d]
                said = one / (one + math.exp(-score))
                slopes[step] = (signed[step] - said) * rate
                if place & 7 == 0:
                    loss -= math.log((said if signed[step] > 0 else one - said) + np.float32(1e-7))
            for d in range(wide):
                moved[d] = zero
            for step in range(targets):
                begin = begins[step]
                slope = slopes[step]
                for d in range(wide):
                    before = outputs[begin + d]
                    moved[d] += slope * before
                    outputs[begin + d] = before + slope * hidden[d]
            if skip:
                begin = np.uint64(kept[source]) * wide
                for d in range(wide):
                    inputs[begin + d] += moved[d]
            else:
                if share:
                    scale = one / np.float32(sources)
                    for d in range(wide):
                        moved[d] *= scale
                for source in range(first, last + 1):
                    if source != place:
                        begin = np.uint64(kept[source]) * wide
                        for d in range(wide):
                            inputs[begin + d] += moved[d]
            if place & 7 == 0:
                updates += 1
    return loss, updates
