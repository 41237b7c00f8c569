#define PENSTOCK_ISA penstock_neon_dotprod
#include "integers_neon.h"
// The vectors come first: what follows is written in them.
#include "codes_products.h"

namespace PENSTOCK_ISA {
extern const penstock::Product codes;
const penstock::Product codes = codes_product(codes_item<multiply_codes>, 1);
}  // namespace PENSTOCK_ISA
