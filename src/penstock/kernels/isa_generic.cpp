#define PENSTOCK_ISA penstock_generic
#include "vector_generic.h"
// The vectors come first: what follows is written in them.
#include "isa_kernels.h"
