/* SPDX-License-Identifier: Apache-2.0 */
/* What oxbow import reads: any file. Whatever is taken for commands is written again and must be
 * the bytes that were read. */
#include "tools/oxbow/resp_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static void write_again(struct resp_file *out, const struct resp_file *in)
{
    resp_command(out, in->arg_count);
    for (size_t i = 0; i < in->arg_count; i++) {
        resp_arg(out, in->args[i]);
    }
}

/* Numbers may come with leading zeros, which are written without: then only the commands count. */
static int canonical(const char *text, size_t len, const uint8_t *data)
{
    return memcmp(text, data, len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct resp_file in = {.file = fmemopen((void *)(uintptr_t)data, len, "r")};
    struct resp_file out = {0};
    char *text = NULL;
    size_t text_len = 0;
    uint64_t taken = 0;
    enum oxbow_err err;

    if (in.file == NULL) {
        return 0;
    }
    out.file = open_memstream(&text, &text_len);
    must(out.file != NULL);
    for (err = resp_next(&in); err == OXBOW_OK; err = resp_next(&in)) {
        write_again(&out, &in);
        taken = in.bytes;
    }
    must(err == OXBOW_EAGAIN || err == OXBOW_EPARSE);
    must(in.bytes <= len && !out.failed);
    fclose(out.file);
    must(out.commands == in.commands || err == OXBOW_EPARSE);
    must(text_len <= taken);
    must(text_len < taken || canonical(text, text_len, data));
    free(text);
    fclose(in.file);
    resp_fini(&in);
    return 0;
}
