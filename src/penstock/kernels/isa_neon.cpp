#define PENSTOCK_ISA penstock_neon
#include "integers_neon.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
