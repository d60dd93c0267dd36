/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of this board: an embedded Linux gateway with a 64-bit core, 256 MB of memory or
 * more, and its data on eMMC, an SD card or an SSD with a journaling file system. README.md says
 * where they come from and what to change on a smaller one.
 */
#ifndef BOARD_H
#define BOARD_H

#include "oxbow/oxbow.h"

#define BOARD_QUOTA_BYTES     (UINT64_C(1) << 30) /* what the data may occupy on the flash */
#define BOARD_DIRTY_PAGES     1024u               /* 4 MiB written per checkpoint at most */
#define BOARD_MEMTABLE_BYTES  (4u << 20)          /* twice: one is filled while one is written */
#define BOARD_CHECKPOINT_MS   60000u
#define BOARD_TXN_BYTES       (16u << 20)
#define BOARD_ENTRY_BYTES     (1u << 20) /* no reading is larger: a larger one is a bug upstream */
#define BOARD_FORWARD_BYTES   (UINT64_C(768) << 20) /* of the quota, for what is not delivered */
#define BOARD_FORWARD_HOLD_MS (15u * 60 * 1000)     /* delivered readings stay for so long */
#define BOARD_SYNC            OXBOW_SYNC_ALWAYS     /* a reading that was taken is on the flash */

#endif
