#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py sees what it is there to see: each rule has violations planted into a clean tree."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tidy  # noqa: E402

S = "/* SPDX-License-Identifier: Apache-2.0 */\n"
CLEAN = {
    "include/oxbow/a.h": S + "#include <stdint.h>\nint oxbow_a(void);\n",
    "engine/base/b.h": S + '#include "oxbow/a.h"\n',
    "engine/base/b.c": S + '#include "engine/base/b.h"\n#include <string.h>\n'
                           "int b(int x)\n{\n    return x; /* 'TO' \"DO\" { */\n}\n",
    "engine/store/kv.c": S + '#include "engine/base/b.h"\n#include <lmdb.h>\n',
    "engine/queue/list.c": S + '#include "engine/base/b.h"\n#include "oxbow/a.h"\n',
    "engine/uplink/u.c": S + '#include "oxbow/a.h"\n',
    "port/uv/v.c": S + "#include <uv.h>\n",
    "tools/t/main.c": S + '#include "oxbow/a.h"\n#include <stdio.h>\n',
    "tests/base/b_test.c": S + '#include "engine/base/b.h"\n#include <lmdb.h>\n',
    "tests/store/kv_test.c": S,
    "tests/queue/list_test.c": S,
    "tests/uplink/u_test.c": S,
    "tests/uv/v_test.c": S,
}
LONG_FUNCTION = S + "int f(void)\n{\n" + "    g();\n" * 71 + "}\n"
SEVEN = S + "int f(int a, int (*b)(int, int), int c,\n      int d, int e, int f, int g)\n{\n}\n"
# rule, file, its text: each must be reported, by that rule, in that file.
PLANTED = [
    ("layers", "engine/base/x.c", S + '#include "engine/store/kv.c"\n'),
    ("layers", "engine/store/x.c", S + '#include "engine/queue/list.c"\n'),
    ("layers", "engine/uplink/x.c", S + '#include "engine/store/kv.c"\n'),
    ("layers", "engine/queue/x.c", S + '#include "port/uv/v.c"\n'),
    ("layers", "port/posix/x.c", S + '#include "port/uv/v.c"\n'),
    ("layers", "tools/t/x.c", S + '#include "engine/base/b.h"\n'),
    ("layers", "include/oxbow/x.h", S + '#include "engine/base/b.h"\n'),
    ("layers", "engine/base/x.c", S + '#include "b.h"\n'),
    ("layers", "engine/base/x.c", S + "#include <oxbow/none.h>\n"),
    ("layers", "elsewhere/x.c", S),
    ("foreign", "engine/store/zz.c", S + "#include <lmdb.h>\n"),
    ("foreign", "engine/queue/x.c", S + "#include <lmdb.h>\n"),
    ("foreign", "engine/base/x.c", S + "#include <unistd.h>\n"),
    ("foreign", "engine/base/x.c", S + "#include <time.h>\n"),
    ("foreign", "engine/base/x.c", S + "  #  include <time.h>\n"),
    ("foreign", "include/oxbow/x.h", S + "#include <sys/types.h>\n"),
    ("foreign", "port/posix/x.c", S + "#include <uv.h>\n"),
    ("foreign", "port/uv/x.c", S + "#include <mbedtls/ssl.h>\n"),
    ("foreign", "tools/t/x.c", S + "#include <uv.h>\n"),
    ("foreign", "tools/t/x.c", S + "#include <lmdb.h>\n"),
    ("cycles", "engine/base/x.h", S + '#include "engine/base/y.h"\n'),
    ("cycles", "engine/base/self.h", S + '#include "engine/base/self.h"\n'),
    ("file-size", "engine/base/x.c", S + "\n" * 800),
    ("file-size", "tests/base/x.c", S + "\n" * 800),
    ("function-size", "engine/base/x.c", LONG_FUNCTION),
    ("function-size", "tools/t/x.c", LONG_FUNCTION),
    ("function-size", "port/posix/x.c", SEVEN),
    ("spdx", "engine/base/x.c", "int x;\n"),
    ("spdx", "tools/x.sh", "#!/bin/sh\n"),
    ("spdx", ".ci/run", "#!/bin/sh\n"),
    ("words", "engine/base/x.c", S + "/* TODO: later */\n"),
    ("words", "docs/x.md", "see /work/x\n"),
    ("words", "tools/x.sh", "# " + S + "cd /root/x\n"),
    ("names", "engine/base/util.c", S),
    ("names", "port/posix/file_helpers.h", S),
    ("language", "engine/base/x.c", S + "int f(void)\n{\n    alloca(3);\n}\n"),
    ("language", "engine/base/x.h", S + "typedef struct x x_t;\n"),
    ("mirror", "engine/base/x.c", S),
    ("mirror", "port/posix/x.c", S),
    ("mirror", "engine/queue/lists.c", S),
    ("mirror", "engine/queue/edit_list.c", S),
    ("exceptions", tidy.EXCEPTIONS, "file-size engine/base/b.c # was long once\n"),
    ("exceptions", tidy.EXCEPTIONS, "file-size engine/base/b.c\n"),
    ("exceptions", tidy.EXCEPTIONS, "no-such-rule engine/base/b.c # why\n"),
    ("exceptions", tidy.EXCEPTIONS, "mirror engine/base/b.c tests/base/none_test.c\n"),
]
EXTRA = {"engine/base/y.h": S + '#include "engine/base/x.h"\n'}


class Tidy(unittest.TestCase):
    def report(self, files, rules=None):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return tidy.check(root, rules or list(tidy.RULES))[0]

    def test_a_clean_tree_is_clean(self):
        self.assertEqual(self.report(CLEAN), [])

    def test_each_planted_violation_is_seen(self):
        for rule, name, text in PLANTED:
            files = CLEAN | {name: text}
            if rule == "cycles":
                files |= EXTRA
            hits = [x for x in self.report(files)
                    if f": {rule}: " in x and (x.startswith(name + ":") or rule == "cycles")]
            with self.subTest(rule=rule, text=text[-60:]):
                self.assertTrue(hits)

    def test_each_rule_has_a_planted_violation(self):
        self.assertEqual({r for r, _, _ in PLANTED}, set(tidy.RULES) | {"exceptions"})

    def test_limits_are_exact(self):
        at = {
            "engine/base/b.c": S + "\n" * 799,
            "engine/store/kv.c": S + "int f(void)\n{\n" + "    g();\n" * 70 + "}\n",
            "engine/queue/list.c": S + "int f(int a, int b, int c, int d, int e, int (*f)(int, int))\n{\n}\n"
                                       "static const int t[] = {\n" + "    1,\n" * 90 + "};\n",
        }
        self.assertEqual(self.report(CLEAN | at), [])

    def test_a_part_is_tested_with_its_whole(self):
        self.assertEqual(self.report(CLEAN | {"engine/queue/list_edit_far.c": S}), [])

    def test_an_exception_excuses_its_own_rule_and_file_alone(self):
        files = CLEAN | {"engine/base/b.c": S + "\n" * 900 + "/* FIXME */\n",
                         tidy.EXCEPTIONS: "file-size engine/base/b.c # a table\n"}
        self.assertEqual([x.split(": ")[1] for x in self.report(files)], ["words"])
        files = CLEAN | {"engine/base/c.c": S,
                         tidy.EXCEPTIONS: "mirror engine/base/c.c tests/base/b_test.c\n"}
        self.assertEqual(self.report(files), [])


if __name__ == "__main__":
    unittest.main()
