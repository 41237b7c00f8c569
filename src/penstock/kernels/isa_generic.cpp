#define PENSTOCK_ISA penstock_generic
#include "integers_generic.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
