#define PENSTOCK_ISA penstock_avx512_bf16
#include "vector_avx512.h"
// The vectors come first: what follows is written in them.
#include "bf16_pairs.h"

namespace PENSTOCK_ISA {
extern const penstock::Product bf16;
const penstock::Product bf16 = pairs_product(pairs_item, 1);
}  // namespace PENSTOCK_ISA
