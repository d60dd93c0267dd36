/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command prints: rows of named cells, as an aligned table for people or as JSON for
 * programs. Text that is not printable is escaped as in C for people; in JSON, bytes that are not
 * UTF-8 are given as {"base64": "..."}.
 */
#ifndef OXBOW_TOOLS_OUT_H
#define OXBOW_TOOLS_OUT_H

#include "oxbow/types.h"

#include <stdbool.h>

#define OUT_COLUMNS_MAX 32

struct out;

/* A table of rows under these column names (closed by NULL; they must outlive it). With `record`
 * a row is printed as lines of "name value"; JSON then takes one row only, as an object. Ends the program
 * with a message when memory is out. */
struct out *out_open(bool json, bool record, const char *const *columns);
/* The cells of a row, in the order of the columns. */
void out_text(struct out *out, const char *text);
void out_bytes(struct out *out, struct oxbow_bytes bytes);
void out_number(struct out *out, uint64_t value);
void out_signed(struct out *out, int64_t value);
void out_real(struct out *out, double value, int digits);
void out_id(struct out *out, struct oxbow_id id);
/* Bytes as 1.2 MiB for people, as a number in JSON. Milliseconds as 3 d 4 h likewise. */
void out_size(struct out *out, uint64_t bytes);
void out_age(struct out *out, uint64_t ms);
void out_none(struct out *out);
/* In JSON alone: a list of [name, value], since a name may come twice. */
void out_fields(struct out *out, const struct oxbow_field *fields, size_t count);
/* In JSON alone: the rows of another table, which it takes. */
void out_table(struct out *out, struct out *rows);
/* Frees it and prints nothing. */
void out_drop(struct out *out);
/* Prints what was collected and frees it. False when writing failed. */
bool out_close(struct out *out);

#endif
