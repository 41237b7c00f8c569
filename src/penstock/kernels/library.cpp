// The exported functions that are about the library as a whole.
#include <cstring>

#include "cpu.h"
#include "isa.h"
#include "thread_pool.h"

namespace penstock_generic {
extern const PenstockIsa kernels;
}
#ifdef PENSTOCK_AVX2
namespace penstock_avx2 {
extern const PenstockIsa kernels;
}
#endif
#ifdef PENSTOCK_AVX512
namespace penstock_avx512 {
extern const PenstockIsa kernels;
}
#endif
#ifdef PENSTOCK_AVX512_VNNI
namespace penstock_avx512_vnni {
extern const penstock::Product codes;
}
#endif
#ifdef PENSTOCK_AVX512_BF16
namespace penstock_avx512_bf16 {
extern const penstock::Product bf16;
}
#endif
#ifdef PENSTOCK_AMX
namespace penstock_amx {
extern const penstock::Product bf16, codes;
}
#endif
#ifdef PENSTOCK_NEON
namespace penstock_neon {
extern const PenstockIsa kernels;
}
#endif
#ifdef PENSTOCK_NEON_DOTPROD
namespace penstock_neon_dotprod {
extern const penstock::Product codes;
}
#endif

namespace {

// The instruction sets of this build that this CPU can run, best first.
struct Found {
    PenstockIsa isas[6];
    int count = 0;

    void add(const PenstockIsa& isa) {
        for (int i = count; i > 0; --i) isas[i] = isas[i - 1];
        isas[0] = isa;
        ++count;
    }
};

Found find_isas() {
    Found found;
    found.add(penstock_generic::kernels);
#ifdef PENSTOCK_AVX2
    if (penstock::cpu_has_avx2()) found.add(penstock_avx2::kernels);
#endif
#ifdef PENSTOCK_AVX512
    if (!penstock::cpu_has_avx512()) return found;
    found.add(penstock_avx512::kernels);
    PenstockIsa isa = penstock_avx512::kernels;
#ifdef PENSTOCK_AVX512_VNNI
    if (penstock::cpu_has_vnni()) {
        isa.name = "avx512_vnni";
        isa.codes = penstock_avx512_vnni::codes;
        found.add(isa);
    }
#endif
#ifdef PENSTOCK_AVX512_BF16
    if (penstock::cpu_has_vnni() && penstock::cpu_has_bf16()) {
        isa.name = "avx512_bf16";
        isa.bf16 = penstock_avx512_bf16::bf16;
        found.add(isa);
    }
#endif
#ifdef PENSTOCK_AMX
    if (penstock::cpu_has_bf16() && penstock::cpu_has_amx()) {
        isa.name = "amx";
        isa.bf16 = penstock_amx::bf16;
        isa.codes = penstock_amx::codes;
        found.add(isa);
    }
#endif
#endif
#ifdef PENSTOCK_NEON
    found.add(penstock_neon::kernels);
#endif
#ifdef PENSTOCK_NEON_DOTPROD
    if (penstock::cpu_has_dot_products()) {
        PenstockIsa isa = penstock_neon::kernels;
        isa.name = "neon_dotprod";
        isa.codes = penstock_neon_dotprod::codes;
        found.add(isa);
    }
#endif
    return found;
}

}  // namespace

int32_t penstock_version() { return 6; }

const PenstockIsa* penstock_find_isa(const char* name) {
    static const Found found = find_isas();
    const bool any = std::strcmp(name, "best") == 0;
    for (int i = 0; i < found.count; ++i)
        if (any || std::strcmp(name, found.isas[i].name) == 0) return &found.isas[i];
    return nullptr;
}

const char* penstock_isa_name(const PenstockIsa* isa) { return isa->name; }

void penstock_set_num_threads(int32_t num_threads) { penstock::set_num_threads(num_threads); }
