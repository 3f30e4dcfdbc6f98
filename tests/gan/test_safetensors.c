/* The safetensors format: what is written to the byte, and what is refused when it is read. */
#include "tests/data/made.h"

#include <cJSON.h>
#include <fcntl.h>

#include "gan/safetensors.h"
#include "tests/support/alloc.h"

enum { ROOM = 1 << 12 };

/* ---- files made by hand -------------------------------------------------------------------------------- */

/* A file of a header and `count` bytes of numbers: 0, 1, 2, ... */
static void make_raw(const char *path, uint64_t length, const char *header, size_t header_size,
                     size_t count) {
    uint8_t *bytes = malloc(sizeof length + header_size + count);
    assert_non_null(bytes);
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + sizeof length, header, header_size);
    for (size_t i = 0; i < count; i++) bytes[sizeof length + header_size + i] = (uint8_t)i;
    make_file(path, bytes, sizeof length + header_size + count);
    free(bytes);
}

static void make_tensors(const char *path, const char *header, size_t count) {
    make_raw(path, strlen(header), header, strlen(header), count);
}

static void accept(const char *path) {
    Safetensors file;
    Error error = {.status = STATUS_OK};
    if (safetensors_open(&file, path, &error) || safetensors_load(&file, &error))
        fail_msg("%s", error.message);
    safetensors_close(&file);
}

/* Opening fails, says why, and leaves nothing behind. */
static void refuse(const char *path, const char *says) {
    Safetensors file;
    Error error = {.status = STATUS_OK};
    ptrdiff_t live = alloc_live();
    if (safetensors_open(&file, path, &error) == STATUS_OK) fail_msg("accepted, though: %s", says);
    ASSERT_SAYS(&error, STATUS_CORRUPT, path, says);
    assert_int_equal(alloc_live(), live);
}

static void refuse_header(const char *folder, const char *header, size_t count, const char *says) {
    const char *path = path_in(folder, "hostile");
    make_tensors(path, header, count);
    refuse(path, says);
}

/* ---- what is written ----------------------------------------------------------------------------------- */

static const float ONE[] = {1.5f, -2.0f, 0.25f, 3.0f, -0.0f, 6.0f};
static const double TWO = 0.1;

static const SafetensorsTensor PAIR[] = {
    {.name = "net/\"one\\", .type = SAFETENSORS_F32, .shape = {.rank = 2, .size = {2, 3}}, .numbers = ONE},
    {.name = "zwei \xc3\xa9", .type = SAFETENSORS_F64, .shape = {.rank = 0}, .numbers = &TWO},
};
static const SafetensorsFact FACTS[] = {{"run", "runs/00003-digits"}, {"script", "line 1\n\tline \"2\"\n"}};

static void write_pair(const char *path) {
    SafetensorsDraft draft;
    Error error = {.status = STATUS_OK};
    if (safetensors_draft(&draft, PAIR, 2, FACTS, 2, &error)) fail_msg("%s", error.message);
    if (file_save(path, draft.pieces, draft.count, &error)) fail_msg("%s", error.message);
    safetensors_draft_free(&draft);
}

static void test_bytes(void **folder) {
    static const char HEADER[] =
        "{\"__metadata__\":{\"run\":\"runs/00003-digits\",\"script\":\"line 1\\n\\tline \\\"2\\\"\\n\","
        "\"numbers\":\"\"},\"net/\\\"one\\\\\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"zwei \xc3\xa9\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[24,32]}}";
    static const char BEFORE_HASH[] = "\"numbers\":\"";
    char hash[FILE_HASH], expected[ROOM];
    FilePiece numbers[] = {{ONE, sizeof ONE}, {&TWO, sizeof TWO}};
    assert_int_equal(file_hash(numbers, 2, hash, NULL), STATUS_OK);
    int at = (int)(strstr(HEADER, BEFORE_HASH) - HEADER + (ptrdiff_t)strlen(BEFORE_HASH));
    snprintf(expected, sizeof expected, "%.*s%s%s", at, HEADER, hash, HEADER + at);

    write_pair(path_in(*folder, "pair"));
    size_t size;
    uint64_t length;
    uint8_t *bytes = file_content(path_in(*folder, "pair"), &size);
    memcpy(&length, bytes, sizeof length);
    assert_int_equal((sizeof length + length) % SAFETENSORS_ALIGNMENT, 0);
    assert_true(length < strlen(expected) + SAFETENSORS_ALIGNMENT);
    assert_memory_equal(bytes + 8, expected, strlen(expected));
    for (size_t i = strlen(expected); i < length; i++) assert_int_equal(bytes[8 + i], ' ');
    assert_int_equal(size, 8 + length + sizeof ONE + sizeof TWO);
    assert_memory_equal(bytes + 8 + length, ONE, sizeof ONE);
    assert_memory_equal(bytes + 8 + length + sizeof ONE, &TWO, sizeof TWO);
    free(bytes);
}

static void test_reads_what_was_written(void **folder) {
    write_pair(path_in(*folder, "pair"));
    Safetensors file;
    Error error = {.status = STATUS_OK};
    if (safetensors_open(&file, path_in(*folder, "pair"), &error)) fail_msg("%s", error.message);
    assert_int_equal(file.tensor_count, 2);
    assert_null(file.tensors[0].numbers);
    assert_int_equal(file.fact_count, 3);
    assert_string_equal(file.facts[0].name, "run");
    assert_string_equal(safetensors_fact(&file, "script"), FACTS[1].value);
    assert_int_equal(strlen(safetensors_fact(&file, SAFETENSORS_NUMBERS)), FILE_HASH - 1);
    assert_null(safetensors_fact(&file, "nobody"));
    assert_null(safetensors_find(&file, "nobody"));
    if (safetensors_load(&file, &error)) fail_msg("%s", error.message);
    for (size_t i = 0; i < 2; i++) {
        const SafetensorsTensor *tensor = safetensors_find(&file, PAIR[i].name);
        assert_non_null(tensor);
        assert_int_equal(tensor->type, PAIR[i].type);
        assert_true(shape_equal(tensor->shape, PAIR[i].shape));
        assert_memory_equal(tensor->numbers, PAIR[i].numbers, safetensors_bytes(tensor));
    }
    char hash[FILE_HASH], expected[FILE_HASH];
    assert_int_equal(safetensors_hash(&file, hash, &error), STATUS_OK);
    size_t size;
    uint8_t *bytes = file_content(path_in(*folder, "pair"), &size);
    assert_int_equal(file_hash(&(FilePiece){bytes, size}, 1, expected, &error), STATUS_OK);
    assert_string_equal(hash, expected);
    free(bytes);
    safetensors_close(&file);
    safetensors_close(&file);
}

/* Other programs' files: blanks, another order, no facts. */
static void test_reads_files_of_others(void **folder) {
    const char *path = path_in(*folder, "theirs");
    make_tensors(path,
                 "{\n\t\"b\" : { \"data_offsets\":[8, 16], \"shape\":[2], \"dtype\":\"F32\" },\r\n"
                 " \"a\":{\"dtype\":\"F64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8.0e0]} } ",
                 16);
    accept(path);
    Safetensors file;
    assert_int_equal(safetensors_open(&file, path, NULL), STATUS_OK);
    assert_string_equal(file.tensors[0].name, "a");
    assert_string_equal(file.tensors[1].name, "b");
    assert_int_equal(file.fact_count, 0);
    assert_int_equal(safetensors_load(&file, NULL), STATUS_OK);
    assert_memory_equal(file.tensors[1].numbers, ((uint8_t[]){8, 9, 10, 11, 12, 13, 14, 15}), 8);
    safetensors_close(&file);
    make_tensors(path, "{}", 0);
    accept(path);
    make_tensors(path, "{\"__metadata__\":{}}", 0);
    accept(path);
}

static void test_signatures(void **folder) {
    (void)folder;
    char first[FILE_HASH], other[FILE_HASH];
    SafetensorsTensor pair[2] = {PAIR[0], PAIR[1]};
    assert_int_equal(safetensors_signature(PAIR, 2, first, NULL), STATUS_OK);
    pair[0].numbers = pair[1].numbers = NULL;
    assert_int_equal(safetensors_signature(pair, 2, other, NULL), STATUS_OK);
    assert_string_equal(first, other);
    pair[0].shape = shape_of(3, 2);
    assert_int_equal(safetensors_signature(pair, 2, other, NULL), STATUS_OK);
    assert_string_not_equal(first, other);
    assert_int_equal(safetensors_signature(PAIR, 1, other, NULL), STATUS_OK);
    assert_string_not_equal(first, other);
}

/* ---- what cannot be written ---------------------------------------------------------------------------- */

static void refuse_draft(const SafetensorsTensor *tensors, size_t count, const SafetensorsFact *facts,
                         size_t fact_count, const char *says) {
    SafetensorsDraft draft;
    Error error = {.status = STATUS_OK};
    ptrdiff_t live = alloc_live();
    assert_int_equal(safetensors_draft(&draft, tensors, count, facts, fact_count, &error), STATUS_INVALID);
    ASSERT_SAYS(&error, STATUS_INVALID, says);
    assert_int_equal(alloc_live(), live);
}

static void refuse_name(const char *name) {
    SafetensorsTensor tensor = PAIR[1];
    tensor.name = name;
    refuse_draft(&tensor, 1, NULL, 0, "name of tensor 1");
    refuse_draft(PAIR, 2, &(SafetensorsFact){name, "value"}, 1, "name of fact 1");
}

static const char *const BAD_NAMES[] = {"",
                                        "line\nline",
                                        "\x1b[31m",
                                        "\x7f",
                                        "\xc2\x9b",
                                        "\x80",
                                        "\xc3",
                                        "\xc3(",
                                        "\xc0\xaf",
                                        "\xe0\x9f\xbf",
                                        "\xe2\x82",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff"};
static const char *const GOOD_TEXTS[] = {"a",
                                         "\xc2\xa0",
                                         "\xdf\xbf",
                                         "\xe0\xa0\x80",
                                         "\xed\x9f\xbf",
                                         "\xef\xbf\xbd",
                                         "\xf0\x90\x80\x80",
                                         "\xf4\x8f\xbf\xbf"};

static void test_refuses_to_write(void **folder) {
    (void)folder;
    for (size_t i = 0; i < sizeof BAD_NAMES / sizeof *BAD_NAMES; i++) refuse_name(BAD_NAMES[i]);
    char name[SAFETENSORS_NAME_LIMIT + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    refuse_name(name);
    SafetensorsTensor pair[] = {PAIR[1], PAIR[1]};
    refuse_draft(pair, 2, NULL, 0, "two tensors are called 'zwei");
    refuse_draft(PAIR, 2, (SafetensorsFact[]){{"f", "1"}, {"f", "1"}}, 2, "two facts are called 'f'");
    pair[0].name = "__metadata__";
    refuse_draft(pair, 1, NULL, 0, "__metadata__");
    refuse_draft(PAIR, 2, &(SafetensorsFact){"numbers", "1"}, 1, "'numbers'");
    refuse_draft(PAIR, 2, &(SafetensorsFact){"f", "\xff"}, 1, "fact 'f' is not UTF-8");
    static SafetensorsTensor many[SAFETENSORS_TENSOR_LIMIT + 1];
    refuse_draft(many, SAFETENSORS_TENSOR_LIMIT + 1, NULL, 0, "16385 tensors");
    pair[0] = (SafetensorsTensor){.name = "a", .shape = shape_of(SHAPE_LIMIT)};
    refuse_draft(pair, 2, NULL, 0, "too many");
    char *much = malloc(SAFETENSORS_HEADER_LIMIT);
    assert_non_null(much);
    memset(much, 'x', SAFETENSORS_HEADER_LIMIT);
    much[SAFETENSORS_HEADER_LIMIT - 1] = '\0';
    refuse_draft(PAIR, 2, &(SafetensorsFact){"f", much}, 1, "at most 16777152 can be written");
    free(much);
}

static void test_names_at_the_limit(void **folder) {
    char name[SAFETENSORS_NAME_LIMIT + 1];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i <= sizeof GOOD_TEXTS / sizeof *GOOD_TEXTS; i++) {
        SafetensorsTensor tensor = PAIR[1];
        tensor.name = i ? GOOD_TEXTS[i - 1] : name;
        SafetensorsFact fact = {tensor.name, i ? GOOD_TEXTS[i - 1] : ""};
        SafetensorsDraft draft;
        assert_int_equal(safetensors_draft(&draft, &tensor, 1, &fact, 1, NULL), STATUS_OK);
        assert_int_equal(file_save(path_in(*folder, "file"), draft.pieces, draft.count, NULL), STATUS_OK);
        safetensors_draft_free(&draft);
        accept(path_in(*folder, "file"));
    }
}

/* ---- hostile files ------------------------------------------------------------------------------------- */

static void test_lengths(void **folder) {
    const char *path = path_in(*folder, "hostile");
    make_file(path, "", 0);
    refuse(path, "truncated");
    make_file(path, "1234567", 7);
    refuse(path, "truncated");
    make_file(path, "12345678", 8);
    refuse(path, "no safetensors file");
    make_raw(path, 0, "{}", 2, 0);
    refuse(path, "a header of 0 bytes");
    make_raw(path, 1, "{}", 2, 0);
    refuse(path, "a header of 1 bytes");
    make_raw(path, 3, "{}", 2, 0);
    refuse(path, "3 bytes is announced, 2 follow");
    make_raw(path, UINT64_MAX, "{}", 2, 0);
    refuse(path, "18446744073709551615");
    make_raw(path, SAFETENSORS_HEADER_LIMIT + 1, "{}", 2, SAFETENSORS_HEADER_LIMIT);
    refuse(path, "2 to 16777216 were expected");
}

#define TENSOR(name, fields) "{\"" name "\":{" fields "}}"
#define MANY_ONES            "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
#define F32(shape, offsets)  "\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]"

static const struct {
    const char *header;
    size_t count;
    const char *says;
} HOSTILE[] = {
    /* no JSON, or more than one */
    {"[]", 0, "no JSON object"},
    {" {}", 0, "no JSON object"},
    {"{\"a\"}", 0, "cannot be parsed"},
    {"{\"a\":", 0, "cannot be parsed"},
    {"{{}}", 0, "cannot be parsed"},
    {"{}x", 0, "goes on"},
    {"{}\n", 0, "goes on"},
    {"{}{}", 0, "goes on"},
    /* tensors that are something else */
    {"{\"a\":1}", 0, "tensor 'a': its dtype"},
    {"{\"a\":null}", 0, "tensor 'a': its dtype"},
    {"{\"a\":[]}", 0, "tensor 'a': its dtype"},
    {"{\"a\":{}}", 0, "tensor 'a': its dtype"},
    {TENSOR("a", F32("1", "0,4") ",\"more\":1"), 4, "nothing else"},
    {TENSOR("a", F32("1", "0,4") ",\"shape\":[1]"), 4, "nothing else"},
    {TENSOR("a", "\"dtype\":\"F32\",\"shape\":[1],\"Data_offsets\":[0,4]"), 4, "data_offsets"},
    {TENSOR("a", "\"dtype\":\"F32\",\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "shape"},
    {TENSOR("a", "\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "neither F32 nor F64"},
    {TENSOR("a", "\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "neither F32 nor F64"},
    {TENSOR("a", "\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "neither F32 nor F64"},
    /* shapes */
    {TENSOR("a", "\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]"), 4, "its shape"},
    {TENSOR("a", "\"dtype\":\"F32\",\"shape\":{\"x\":1},\"data_offsets\":[0,4]"), 4, "its shape"},
    {TENSOR("a", F32("0", "0,0")), 0, "its shape"},
    {TENSOR("a", F32("-1", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("1.5", "0,6")), 6, "its shape"},
    {TENSOR("a", F32("\"1\"", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("true", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("1e999", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("1,1,1,1,1,1,1,1,1", "0,4")), 4, "its shape"},
    {TENSOR("a", F32(MANY_ONES MANY_ONES MANY_ONES MANY_ONES "1", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("1099511627777", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("4294967296,4294967296", "0,0")), 0, "its shape"},
    {TENSOR("a", F32("4611686018427387905", "0,4")), 4, "its shape"},
    {TENSOR("a", F32("2147483648,2147483648,2147483648,2147483648", "0,4")), 4, "its shape"},
    /* offsets */
    {TENSOR("a", F32("1", "0")), 4, "its data_offsets"},
    {TENSOR("a", F32("1", "0,4,4")), 4, "its data_offsets"},
    {TENSOR("a", F32("1", "4,0")), 4, "its data_offsets"},
    {TENSOR("a", F32("1", "-4,0")), 4, "its data_offsets"},
    {TENSOR("a", F32("1", "0,3")), 3, "its data_offsets"},
    {TENSOR("a", F32("1", "0,5")), 5, "its data_offsets"},
    {TENSOR("a", F32("1", "0.5,4.5")), 5, "its data_offsets"},
    {TENSOR("a", F32("1", "18446744073709551616,18446744073709551620")), 4, "its data_offsets"},
    {TENSOR("a", F32("1", "9007199254740992,9007199254740996")), 4, "its data_offsets"},
    {TENSOR("a", "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4"), 4, "its data_offsets"},
    /* places */
    {TENSOR("a", F32("1", "4,8")), 8, "start at byte 4, those before them end at byte 0"},
    {"{\"a\":{" F32("1", "0,4") "},\"b\":{" F32("1", "0,4") "}}", 4, "start at byte 0"},
    {"{\"a\":{" F32("2", "0,8") "},\"b\":{" F32("2", "4,12") "}}", 12, "start at byte 4"},
    {"{\"a\":{" F32("1", "0,4") "},\"b\":{" F32("1", "8,12") "}}", 12, "start at byte 8"},
    {TENSOR("a", F32("1", "0,4")), 3, "truncated: 4 bytes of numbers after the header were expected, not 3"},
    {TENSOR("a", F32("1", "0,4")), 0, "truncated"},
    {TENSOR("a", F32("1", "0,4")), 5, "oversized: 4 bytes of numbers after the header were expected, not 5"},
    {TENSOR("a", F32("1099511627776", "0,4398046511104")), 8, "truncated"},
    {"{}", 1, "oversized"},
    /* names */
    {"{\"a\":{" F32("1", "0,4") "},\"a\":{" F32("1", "4,8") "}}", 8, "two tensors are called 'a'"},
    {"{\"a\":{" F32("1", "0,4") "},\"b\":{" F32("1", "4,8") "},\"a\":{" F32("1", "8,12") "}}", 12,
     "two tensors are called 'a'"},
    {"{\"a\\u0000b\":{" F32("1", "0,4") "},\"a\":{" F32("1", "4,8") "}}", 8, "two tensors are called 'a'"},
    {TENSOR("", F32("1", "0,4")), 4, "the name of tensor 1"},
    {TENSOR("\\u001b[31m", F32("1", "0,4")), 4, "the name of tensor 1"},
    {TENSOR("\x1b[31m", "\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "tensor '?'"},
    {TENSOR("\xff", F32("1", "0,4")), 4, "the name of tensor 1"},
    /* facts */
    {"{\"__metadata__\":[]}", 0, "its __metadata__ is not one JSON object"},
    {"{\"__metadata__\":\"x\"}", 0, "its __metadata__ is not one JSON object"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "its __metadata__ is not one JSON object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "fact 1 of its __metadata__"},
    {"{\"__metadata__\":{\"a\":\"1\",\"b\":{}}}", 0, "fact 2 of its __metadata__"},
    {"{\"__metadata__\":{\"a\":\"\xff\"}}", 0, "fact 1 of its __metadata__"},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", 0, "two facts are called 'a'"},
    {"{\"__metadata__\":{\"\":\"1\"}}", 0, "the name of fact 1"},
};

static void test_hostile_headers(void **folder) {
    const char *path = path_in(*folder, "hostile");
    make_tensors(path, TENSOR("a", F32("1", "0,4")), 4); /* the one that they all are like */
    accept(path);
    for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++)
        refuse_header(*folder, HOSTILE[i].header, HOSTILE[i].count, HOSTILE[i].says);
    static const char ZERO_WITHIN[] = "{}\0 ";
    make_raw(path, 4, ZERO_WITHIN, 4, 0);
    refuse(path, "goes on");
    make_raw(path, 2, "{\"", 2, 0);
    refuse(path, "cannot be parsed");
}

/* Headers that would cost memory or stack out of all proportion. */
static void test_greedy_headers(void **folder) {
    const char *path = path_in(*folder, "hostile");
    enum { LENGTH = SAFETENSORS_HEADER_LIMIT };
    char *header = malloc(LENGTH + 1);
    assert_non_null(header);
    header[LENGTH] = '\0';
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', LENGTH - 5);
    make_raw(path, LENGTH, header, LENGTH, 0);
    refuse(path, "more than 1048576 values");
    for (size_t i = 5; i < LENGTH; i++) header[i] = i % 2 ? '0' : ',';
    make_raw(path, LENGTH, header, LENGTH, 0);
    refuse(path, "more than 1048576 values");
    memset(header + 5, '[', 100000);
    header[100000] = '\0';
    make_tensors(path, header, 0);
    refuse(path, "cannot be parsed");
    memset(header, ' ', LENGTH);
    memcpy(header, "{", 1);
    make_raw(path, LENGTH, header, LENGTH, 0);
    refuse(path, "cannot be parsed");
    memcpy(header, "{}", 2);
    make_raw(path, LENGTH, header, LENGTH, 0);
    accept(path);
    size_t used = 1;
    for (int i = 0; i <= SAFETENSORS_TENSOR_LIMIT; i++)
        used += (size_t)snprintf(header + used, LENGTH - used,
                                 "\"%d\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[%d,%d]},", i,
                                 4 * i, 4 * i + 4);
    header[used - 1] = '}';
    make_raw(path, used, header, used, 4 * (SAFETENSORS_TENSOR_LIMIT + 1));
    refuse(path, "16385 tensors");
    free(header);
}

/* ---- damage -------------------------------------------------------------------------------------------- */

static void test_truncated_anywhere(void **folder) {
    const char *path = path_in(*folder, "pair");
    write_pair(path);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(truncate(path, facts.st_size + 1), 0);
    refuse(path, "oversized");
    for (off_t length = facts.st_size; length-- > 0;) {
        assert_int_equal(truncate(path, length), 0);
        refuse(path, "truncated");
    }
}

static void test_damaged_numbers(void **folder) {
    const char *path = path_in(*folder, "pair");
    write_pair(path);
    int writer = open(path, O_RDWR);
    assert_true(writer >= 0);
    off_t size = lseek(writer, 0, SEEK_END);
    for (off_t at = size - (off_t)(sizeof ONE + sizeof TWO); at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t byte, damaged;
            assert_int_equal(pread(writer, &byte, 1, at), 1);
            damaged = (uint8_t)(byte ^ (1 << bit));
            assert_int_equal(pwrite(writer, &damaged, 1, at), 1);
            Safetensors file;
            Error error;
            assert_int_equal(safetensors_open(&file, path, &error), STATUS_OK);
            assert_int_equal(safetensors_load(&file, &error), STATUS_CORRUPT);
            ASSERT_SAYS(&error, STATUS_CORRUPT, path, "damaged", "hash");
            assert_null(file.tensors[0].numbers);
            safetensors_close(&file);
            assert_int_equal(pwrite(writer, &byte, 1, at), 1);
        }
    close(writer);
    accept(path);
}

static void test_shrinks_while_it_is_read(void **folder) {
    const char *path = path_in(*folder, "pair");
    write_pair(path);
    Safetensors file;
    Error error;
    assert_int_equal(safetensors_open(&file, path, &error), STATUS_OK);
    assert_int_equal(truncate(path, (off_t)(file.file.size - 1)), 0);
    assert_int_equal(safetensors_load(&file, &error), STATUS_CORRUPT);
    ASSERT_SAYS(&error, STATUS_CORRUPT, path, "truncated");
    safetensors_close(&file);
}

/* ---- running out of memory ----------------------------------------------------------------------------- */

static Status draft_and_read(const char *path, Error *error) {
    SafetensorsDraft draft;
    Status status = safetensors_draft(&draft, PAIR, 2, FACTS, 2, error);
    if (status) return status;
    safetensors_draft_free(&draft);
    char signature[FILE_HASH];
    status = safetensors_signature(PAIR, 2, signature, error);
    if (status) return status;
    Safetensors file;
    status = safetensors_open(&file, path, error);
    if (status) return status;
    status = safetensors_load(&file, error);
    safetensors_close(&file);
    return status;
}

static void test_no_memory(void **folder) {
    const char *path = path_in(*folder, "pair");
    write_pair(path);
    ptrdiff_t live = alloc_live();
    for (size_t n = 1;; n++) {
        Error error = {.status = STATUS_OK};
        alloc_refuse(n, false);
        Status status = draft_and_read(path, &error);
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        assert_int_equal(alloc_live(), live);
        if (!refused) {
            assert_int_equal(status, STATUS_OK);
            assert_true(n > 8);
            return;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_int_equal(error.status, STATUS_NO_MEMORY);
    }
}

/* cJSON's own memory, for which it has hooks. When it parses, what it says cannot be told from a damaged
 * file. */
static size_t json_calls, json_refused;
static ptrdiff_t json_live;

static void *json_new(size_t bytes) {
    if (++json_calls == json_refused) return NULL;
    json_live++;
    return malloc(bytes);
}

static void json_free(void *block) {
    json_live -= block != NULL;
    free(block);
}

static void test_no_memory_for_json(void **folder) {
    const char *path = path_in(*folder, "pair");
    write_pair(path);
    ptrdiff_t live = alloc_live();
    cJSON_InitHooks(&(cJSON_Hooks){json_new, json_free});
    for (json_refused = 1;; json_refused++) {
        Error error = {.status = STATUS_OK};
        json_calls = 0;
        Status status = draft_and_read(path, &error);
        assert_int_equal(json_live, 0);
        assert_int_equal(alloc_live(), live);
        if (json_calls < json_refused) {
            assert_int_equal(status, STATUS_OK);
            break;
        }
        if (status != STATUS_NO_MEMORY) ASSERT_SAYS(&error, STATUS_CORRUPT, "unless memory has run out");
    }
    assert_true(json_calls > 40);
    cJSON_InitHooks(NULL);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_up, folder_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_bytes),
        IN_FOLDER(test_reads_what_was_written),
        IN_FOLDER(test_reads_files_of_others),
        IN_FOLDER(test_signatures),
        IN_FOLDER(test_refuses_to_write),
        IN_FOLDER(test_names_at_the_limit),
        IN_FOLDER(test_lengths),
        IN_FOLDER(test_hostile_headers),
        IN_FOLDER(test_greedy_headers),
        IN_FOLDER(test_truncated_anywhere),
        IN_FOLDER(test_damaged_numbers),
        IN_FOLDER(test_shrinks_while_it_is_read),
        IN_FOLDER(test_no_memory),
        IN_FOLDER(test_no_memory_for_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
