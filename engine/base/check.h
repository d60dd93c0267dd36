/* SPDX-License-Identifier: Apache-2.0 */
/* What a programmer guarantees. Stays on in release. Never for what a disk, a peer or a user says.
 */
#ifndef OXBOW_BASE_CHECK_H
#define OXBOW_BASE_CHECK_H

#include "oxbow/port.h"

/* Ends the process through the port's panic when `cond` does not hold. */
#define CHECK(port, cond) ((cond) ? (void)0 : (port)->panic(__FILE__, __LINE__, #cond))

#endif
