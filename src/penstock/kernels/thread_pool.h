// A small pool of threads that share the items of one call at a time. Knows nothing of what an item is.
#pragma once
#include <cstddef>
#include <cstdint>

namespace penstock {

using RunItem = void (*)(void* context, int64_t item);

// The number of threads for later calls, the calling one included.
void set_num_threads(int num_threads);

// Run items 0 .. num_items - 1, each once, on the caller and the pool; return when all are done.
// Each thread starts with its own contiguous share and then helps with the others'.
void parallel_for(int64_t num_items, RunItem run, void* context);

// The calling thread's own scratch memory, 64-byte aligned; each valid until the next call of the same.
void* thread_scratch(size_t bytes);  // for one item
void* call_scratch(size_t bytes);    // for what all items of a call read

}  // namespace penstock
