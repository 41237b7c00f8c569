// AMX tiles: 16 rows of 64 bytes, of which a product takes fewer rows where there are fewer.
//
// Every tile is named by a constant. The compiler does not know that a tile's contents come from memory, so
// each instruction says that it touches memory.
#pragma once
#include <cstdint>
#include <cstring>

namespace PENSTOCK_ISA {

constexpr int kTileRowsMax = 16;

#define TILE_ZERO(tile) asm volatile("tilezero %%tmm" #tile ::: "memory")
#define TILE_LOAD(tile, from, stride) \
    asm volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"((const void*)(from)), "r"((long)(stride)) : "memory")
#define TILE_STORE(tile, to, stride) \
    asm volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"((void*)(to)), "r"((long)(stride)) : "memory")
#define TILE_ADD_BF16(sums, x, weights) \
    asm volatile("tdpbf16ps %%tmm" #weights ", %%tmm" #x ", %%tmm" #sums ::: "memory")
#define TILE_ADD_INT8(sums, x, weights) \
    asm volatile("tdpbssd %%tmm" #weights ", %%tmm" #x ", %%tmm" #sums ::: "memory")

// Tiles 0 to 5 hold sums, 6 rows of x, 7 weights. While this lives the thread's tiles are ours.
class Tiles {
  public:
    explicit Tiles(int64_t rows) {
        struct alignas(64) {
            uint8_t palette, first_row, reserved[14];
            uint16_t row_bytes[16];
            uint8_t rows[16];
        } shape;
        std::memset(&shape, 0, sizeof shape);
        shape.palette = 1;
        for (int tile = 0; tile < 8; ++tile) {
            shape.row_bytes[tile] = 64;
            shape.rows[tile] = uint8_t(tile == 7 || rows > kTileRowsMax ? kTileRowsMax : rows);
        }
        asm volatile("ldtilecfg %0" ::"m"(shape) : "memory");
    }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;
    ~Tiles() { asm volatile("tilerelease" ::: "memory"); }
};

}  // namespace PENSTOCK_ISA
