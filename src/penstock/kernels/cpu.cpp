#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace penstock {
namespace {

struct Registers {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Leaf 7 tells of extensions. Named bits of it are newer than some compilers.
Registers extensions(unsigned part) {
    Registers r;
    __get_cpuid_count(7, part, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

bool system_grants_tiles() {
#if defined(__linux__)
    constexpr long ask_for_state = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, ask_for_state, tile_data) == 0;
#else
    return false;
#endif
}

}  // namespace

bool cpu_has_avx2() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool cpu_has_avx512() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool cpu_has_vnni() { return extensions(0).ecx >> 11 & 1; }

bool cpu_has_bf16() { return extensions(1).eax >> 5 & 1; }

bool cpu_has_amx() {
    const unsigned edx = extensions(0).edx;
    const bool bf16 = edx >> 22 & 1, tiles = edx >> 24 & 1, int8 = edx >> 25 & 1;
    return bf16 && tiles && int8 && system_grants_tiles();
}

}  // namespace penstock

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#endif

namespace penstock {

bool cpu_has_dot_products() {
#if defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1;  // HWCAP_ASIMDDP
#else
    return false;  // elsewhere nobody has tried how to ask
#endif
}

}  // namespace penstock
#endif
