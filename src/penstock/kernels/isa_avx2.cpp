#define PENSTOCK_ISA penstock_avx2
#include "vector_avx2.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
