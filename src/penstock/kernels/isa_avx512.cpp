#define PENSTOCK_ISA penstock_avx512
#include "integers_avx512.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
