/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C by the processor's own instructions, where it has them: SSE 4.2 on x86-64, asked of the
 * processor, and the CRC extension of ARMv8, asked of the kernel. Else by the engine's portable
 * code. The values are the same.
 */
#include "port/posix/posix.h"

#include "engine/base/hash.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define BY_INSTRUCTION __attribute__((target("sse4.2")))
#define SUM_8(crc, v)  ((uint32_t)_mm_crc32_u64((crc), (v)))
#define SUM_1(crc, v)  _mm_crc32_u8((crc), (v))

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define BY_INSTRUCTION __attribute__((target("+crc")))
#define SUM_8(crc, v)  __crc32cd((crc), (v))
#define SUM_1(crc, v)  __crc32cb((crc), (v))
#define HWCAP_CRC      (1ul << 7) /* HWCAP_CRC32 of the kernel's interface */

static bool has_instruction(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC) != 0;
}
#endif

#if defined(BY_INSTRUCTION)
/* Both kinds of machine that come here are little endian, as the polynomial's bits are taken. */
BY_INSTRUCTION static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, sizeof v);
        crc = SUM_8(crc, v);
    }
    for (; len > 0; len--, p++) {
        crc = SUM_1(crc, *p);
    }
    return ~crc;
}
#endif

uint32_t posix_crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(BY_INSTRUCTION)
    if (has_instruction()) {
        return by_instruction(crc, data, len);
    }
#endif
    return crc32c(crc, data, len);
}
