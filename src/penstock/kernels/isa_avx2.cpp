#define PENSTOCK_ISA penstock_avx2
#include "integers_avx2.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
