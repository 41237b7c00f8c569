// The exported functions that are about the library as a whole.
#include <cstring>

#include "isa.h"
#include "thread_pool.h"

namespace penstock_generic {
extern const PenstockIsa kernels;
}
#ifdef PENSTOCK_X86
namespace penstock_avx2 {
extern const PenstockIsa kernels;
}
namespace penstock_avx512 {
extern const PenstockIsa kernels;
}
#endif

namespace {

bool cpu_can_run(const PenstockIsa& isa) {
#ifdef PENSTOCK_X86
    __builtin_cpu_init();
    if (&isa == &penstock_avx2::kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (&isa == &penstock_avx512::kernels)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    (void)isa;
    return true;
}

}  // namespace

int32_t penstock_version() { return 4; }

const PenstockIsa* penstock_find_isa(const char* name) {
    const PenstockIsa* const best_first[] = {
#ifdef PENSTOCK_X86
        &penstock_avx512::kernels,
        &penstock_avx2::kernels,
#endif
        &penstock_generic::kernels,
    };
    const bool any = std::strcmp(name, "best") == 0;
    for (const PenstockIsa* isa : best_first)
        if ((any || std::strcmp(name, isa->name) == 0) && cpu_can_run(*isa)) return isa;
    return nullptr;
}

const char* penstock_isa_name(const PenstockIsa* isa) { return isa->name; }

void penstock_set_num_threads(int32_t num_threads) { penstock::set_num_threads(num_threads); }
