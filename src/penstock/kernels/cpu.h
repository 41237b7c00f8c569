// What this CPU, and this system on it, can run.
#pragma once

namespace penstock {

bool cpu_has_avx2();
bool cpu_has_avx512();
bool cpu_has_vnni();  // with AVX-512
bool cpu_has_bf16();  // likewise
// Asks the system for the use of tiles; it grants that once for the whole process.
bool cpu_has_amx();
bool cpu_has_dot_products();  // of bytes, with NEON

}  // namespace penstock
