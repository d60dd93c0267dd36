/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands about the program itself: everything here comes from the tables. */
#include "tools/oxbow/command.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int print_version(struct cli *cli)
{
    if (cli->opt.json) {
        printf("{\"version\": \"%s\", \"format\": %u}\n", OXBOW_VERSION, OXBOW_FORMAT_VERSION);
    } else {
        printf("oxbow %s (store format %u)\n", OXBOW_VERSION, OXBOW_FORMAT_VERSION);
    }
    return EXIT_DONE;
}

static void print_words(const struct option_row *rows)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        printf(" --%s", rows->name);
        if (rows->letter != 0) {
            printf(" -%c", rows->letter);
        }
    }
}

/* The first words, each once: rows of two words share theirs and stand together. */
static void print_first_words(void)
{
    const struct command *c;
    char last[64] = "";
    size_t group = 0;
    size_t row = 0;

    while ((c = command_next(&group, &row)) != NULL) {
        char word[64];

        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(c->name, " "), c->name);
        if (strcmp(word, last) != 0) {
            printf(" %s", word);
        }
        memcpy(last, word, sizeof last);
    }
}

static int run_completion(struct cli *cli)
{
    const struct command *c;
    size_t group = 0;
    size_t row = 0;

    if (strcmp(cli->args[0], "bash") != 0) {
        return cli_usage(cli, "completion %s: only bash (zsh reads it after bashcompinit)",
                         cli->args[0]);
    }
    fputs("# bash completion for oxbow: source <(oxbow completion bash)\n"
          "_oxbow() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} first= name= second= w i\n"
          "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "    w=${COMP_WORDS[i]}\n"
          "    case $w in\n"
          "      -d | -n | --dir | --database | --sync | --interval-ms | --quota | --endurance | "
          "--journal) "
          "((i++)) ;;\n"
          "      -*) ;;\n"
          "      *) if [ -z \"$first\" ]; then first=$w; name=$w; elif [ \"$name\" = \"$first\" ]; "
          "then name=\"$first $w\"; fi ;;\n"
          "    esac\n"
          "  done\n"
          "  local words='",
          stdout);
    print_words(global_options);
    fputs("'\n  if [ -z \"$first\" ]; then\n    words=\"$words", stdout);
    print_first_words();
    fputs("\"\n  fi\n", stdout);
    /* case takes one branch only: a line per row, each a case of its own */
    while ((c = command_next(&group, &row)) != NULL) {
        const char *space = strchr(c->name, ' ');

        if (space != NULL) {
            printf("  [ \"$name\" = %.*s ] && second=\"$second %s\"\n", (int)(space - c->name),
                   c->name, space + 1);
        }
        if (c->options != NULL) {
            printf("  case $name in \"%s\" | \"%s \"*) words=\"$words", c->name, c->name);
            print_words(c->options);
            fputs("\" ;; esac\n", stdout);
        }
    }
    fputs("  mapfile -t COMPREPLY < <(compgen -W \"$words $second\" -- \"$cur\")\n"
          "  case ${COMP_WORDS[COMP_CWORD - 1]} in\n"
          "    -d | --dir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
          "    --sync) mapfile -t COMPREPLY < <(compgen -W 'always interval' -- \"$cur\") ;;\n"
          "  esac\n"
          "}\n"
          "complete -F _oxbow oxbow\n",
          stdout);
    return EXIT_DONE;
}

static int run_bench(struct cli *cli)
{
    return bench_main(cli);
}

static const struct option_row bench_options[] = {
    {"quick", 'q', OPTION_FLAG, offsetof(struct options, quick), NULL,
     "a tenth of the size, one round"},
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "rounds, 1 to 9 (default 5)"},
    {"only", 0, OPTION_TEXT, offsetof(struct options, only), "WORD",
     "only cases with WORD in their name"},
    {"large", 0, OPTION_FLAG, offsetof(struct options, large), NULL,
     "also cases of 10,000,000 messages: some minutes, 6 GB"},
    {"sync-delay", 0, OPTION_INT, offsetof(struct options, sync_delay), "MS",
     "every sync takes at least that long, of all contenders"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_self[] = {
    {"bench", "[DIR]", 0, 1, 0, "measure oxbow and its peers side by side, in DIR", run_bench,
     bench_options},
    {"probe", "DIR", 1, 1, 0, "measure a device before a store is trusted to it", probe_main,
     probe_options},
    {"completion", "bash", 1, 1, 0, "print a completion script for the shell", run_completion,
     NULL},
    {"version", "", 0, 0, 0, "print the version", print_version, NULL},
    {0},
};
