#define PENSTOCK_ISA penstock_amx
#define PENSTOCK_TILES
#include "integers_avx512.h"
// The vectors come first: what follows is written in them.
#include "linear_amx.h"

namespace PENSTOCK_ISA {
extern const penstock::Product bf16, codes;
const penstock::Product bf16 = pairs_product(tiles_item, 32);
const penstock::Product codes = codes_product(codes_in_tiles_item, 16);
}  // namespace PENSTOCK_ISA
