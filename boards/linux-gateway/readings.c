/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of readings. The system's is a table of files with one function that finds the
 * number in the text; what is not there on this machine is left out when the source is opened.
 * Values are kept as the texts that the kernel gave: nothing is rounded on the way.
 */
#include "readings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENSORS_MAX  16u
#define CSV_LINE_MAX 1000

/* ---- a reading ---- */

static void reading_clear(struct reading *r, uint64_t row)
{
    r->field_count = 0;
    r->row = row;
}

static void reading_field(struct reading *r, const char *name, const char *value, size_t value_len)
{
    r->fields[r->field_count++] = (struct oxbow_field){
        .name = {name, strlen(name)},
        .value = {value, value_len},
    };
}

static uint32_t crc32_add(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (UINT32_C(0xEDB88320) & (0u - (crc & 1u)));
        }
    }
    return crc;
}

uint32_t reading_checksum(const struct reading *reading)
{
    uint32_t crc = UINT32_MAX;

    for (uint32_t i = 0; i < reading->field_count; i++) {
        crc = crc32_add(crc, reading->fields[i].name.data, reading->fields[i].name.len);
        crc = crc32_add(crc, "", 1);
        crc = crc32_add(crc, reading->fields[i].value.data, reading->fields[i].value.len);
        crc = crc32_add(crc, "", 1);
    }
    return ~crc;
}

/* ---- this machine's sensors ---- */

struct sensor {
    const char *name;
    const char *unit;
    const char *path;
    const char *label; /* the number follows this text; NULL: the file begins with it */
    unsigned column;   /* numbers to skip before it */
};

static const struct sensor all_sensors[] = {
    {"load1", "1", "/proc/loadavg", NULL, 0},
    {"load15", "1", "/proc/loadavg", NULL, 2},
    {"uptime", "s", "/proc/uptime", NULL, 0},
    {"mem_available", "kB", "/proc/meminfo", "MemAvailable:", 0},
    {"mem_dirty", "kB", "/proc/meminfo", "Dirty:", 0},
    {"processes", "1", "/proc/stat", "processes ", 0},
    {"context_switches", "1", "/proc/stat", "ctxt ", 0},
    {"lo_received", "B", "/proc/net/dev", " lo:", 0},
    {"eth0_received", "B", "/proc/net/dev", " eth0:", 0},
    {"eth0_sent", "B", "/proc/net/dev", " eth0:", 8},
    {"wlan0_received", "B", "/proc/net/dev", " wlan0:", 0},
    {"temperature0", "mC", "/sys/class/thermal/thermal_zone0/temp", NULL, 0},
    {"temperature1", "mC", "/sys/class/thermal/thermal_zone1/temp", NULL, 0},
    {"cpu0_frequency", "kHz", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", NULL, 0},
};
_Static_assert(sizeof all_sensors / sizeof all_sensors[0] <= SENSORS_MAX, "SENSORS_MAX");

struct readings {
    uint64_t row;
    const struct sensor *sensors[SENSORS_MAX]; /* those that this machine has */
    uint32_t sensor_count;
    FILE *csv;                 /* NULL: the system's */
    char header[CSV_LINE_MAX]; /* names, each ended by a 0 */
    const char *names[READING_FIELDS_MAX];
    uint32_t name_count;
};

/* Reads a sensor's number as the kernel prints it into out; false when it is not there. */
static bool sensor_value(const struct sensor *sensor, char *out, size_t cap)
{
    char text[8192];
    FILE *file = fopen(sensor->path, "re");
    size_t len;
    const char *at = text;

    if (file == NULL) {
        return false;
    }
    len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    if (sensor->label != NULL) {
        at = strstr(text, sensor->label);
        if (at == NULL) {
            return false;
        }
        at += strlen(sensor->label);
    }
    at += strspn(at, " \t");
    for (unsigned i = 0; i < sensor->column; i++) {
        at += strcspn(at, " \t\n");
        at += strspn(at, " \t");
    }
    len = strspn(at, "-0123456789.");
    if (len == 0 || len >= cap) {
        return false;
    }
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

struct readings *readings_open_system(void)
{
    struct readings *src = calloc(1, sizeof *src);
    char value[64];

    if (src == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof all_sensors / sizeof all_sensors[0]; i++) {
        if (sensor_value(&all_sensors[i], value, sizeof value)) {
            src->sensors[src->sensor_count++] = &all_sensors[i];
        }
    }
    if (src->sensor_count == 0) {
        fprintf(stderr, "oxbow-sensor: nothing to read in /proc and /sys\n");
        free(src);
        return NULL;
    }
    return src;
}

static enum reading_outcome take_system(struct readings *src, struct reading *out)
{
    const struct sensor *sensor = src->sensors[src->row % src->sensor_count];
    const size_t half = sizeof out->text / 2;

    reading_clear(out, ++src->row);
    if (!sensor_value(sensor, out->text, half)) {
        (void)snprintf(out->text, half, "gone");
    }
    (void)snprintf(out->text + half, half, "%llu", (unsigned long long)out->row);
    reading_field(out, "row", out->text + half, strlen(out->text + half));
    reading_field(out, "sensor", sensor->name, strlen(sensor->name));
    reading_field(out, "value", out->text, strlen(out->text));
    reading_field(out, "unit", sensor->unit, strlen(sensor->unit));
    return READING_TAKEN;
}

/* ---- a file's rows ---- */

enum csv_outcome { CSV_LINE, CSV_END, CSV_BAD };

/* Reads a line, without its end, into `line`. CSV_BAD: too long, or the file cannot be read. */
static enum csv_outcome csv_line(FILE *csv, char line[CSV_LINE_MAX])
{
    size_t len;

    if (fgets(line, CSV_LINE_MAX, csv) == NULL) {
        return ferror(csv) ? CSV_BAD : CSV_END;
    }
    len = strcspn(line, "\r\n");
    if (line[len] == '\0' && !feof(csv)) {
        return CSV_BAD;
    }
    line[len] = '\0';
    return CSV_LINE;
}

/* Cuts a line at its commas, in place. Returns the number of cells, 0 when it is not plain CSV. */
static uint32_t csv_cut(char *line, const char *cells[READING_FIELDS_MAX])
{
    uint32_t count = 0;

    if (strchr(line, '"') != NULL) {
        return 0;
    }
    for (char *at = line; at != NULL;) {
        char *comma = strchr(at, ',');

        if (count == READING_FIELDS_MAX) {
            return 0;
        }
        cells[count++] = at;
        if (comma != NULL) {
            *comma++ = '\0';
        }
        at = comma;
    }
    return count;
}

struct readings *readings_open_csv(const char *path, uint64_t first)
{
    struct readings *src = calloc(1, sizeof *src);
    char line[CSV_LINE_MAX];

    if (src == NULL) {
        return NULL;
    }
    src->csv = fopen(path, "re");
    if (src->csv == NULL) {
        fprintf(stderr, "oxbow-sensor: %s: %s\n", path, strerror(errno));
        goto fail;
    }
    if (csv_line(src->csv, src->header) == CSV_LINE) {
        src->name_count = csv_cut(src->header, src->names);
    }
    if (src->name_count == 0) {
        fprintf(stderr, "oxbow-sensor: %s: the first line must name 1 to %u fields, no quotes\n",
                path, READING_FIELDS_MAX);
        goto fail;
    }
    for (src->row = 0; src->row + 1 < first; src->row++) {
        if (csv_line(src->csv, line) != CSV_LINE) {
            break;
        }
    }
    return src;
fail:
    readings_close(src);
    return NULL;
}

static enum reading_outcome take_csv(struct readings *src, struct reading *out)
{
    const char *cells[READING_FIELDS_MAX];
    enum csv_outcome got = csv_line(src->csv, out->text);

    _Static_assert(CSV_LINE_MAX <= READING_TEXT_MAX, "a line fits into a reading");
    if (got == CSV_END) {
        return READING_END;
    }
    reading_clear(out, ++src->row);
    if (got != CSV_LINE || csv_cut(out->text, cells) != src->name_count) {
        fprintf(stderr, "oxbow-sensor: row %llu of the file does not have %u plain cells\n",
                (unsigned long long)out->row, src->name_count);
        return READING_BAD;
    }
    for (uint32_t i = 0; i < src->name_count; i++) {
        reading_field(out, src->names[i], cells[i], strlen(cells[i]));
    }
    return READING_TAKEN;
}

enum reading_outcome readings_take(struct readings *src, struct reading *out)
{
    return src->csv != NULL ? take_csv(src, out) : take_system(src, out);
}

void readings_close(struct readings *src)
{
    if (src == NULL) {
        return;
    }
    if (src->csv != NULL) {
        (void)fclose(src->csv);
    }
    free(src);
}
