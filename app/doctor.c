/* `brood doctor`: what the program is built of, what the machine offers, and what could be better. */
#include <cJSON.h>
#include <cblas.h>
#include <png.h>
#include <sched.h>
#include <sleef.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

#include "app/app.h"
#include "base/isa.h"
#include "base/real.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER "address and undefined behavior sanitizers"
#elif defined(__SANITIZE_THREAD__)
#define SANITIZER "thread sanitizer"
#else
#define SANITIZER ""
#endif
#ifdef __OPTIMIZE__
#define OPTIMIZED 1
#else
#define OPTIMIZED 0
#endif
#define GIB ((double)(1 << 30))

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("  %-13s ", name);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

static void hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void hint(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("Hint: ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* ---- what the machine says ----------------------------------------------------------------------------- */

typedef struct {
    char processor[80];  /* "": unknown */
    int online, usable;  /* cores; usable: in this process's affinity mask */
    double quota;        /* cores that the control group allows; 0: no limit */
    double memory, free; /* bytes; free: -1 when unknown */
    double memory_limit; /* of the control group; 0: none */
} Machine;

/* The text after the first line that begins with `key`, less blanks and colons. */
static void find_line(const char *file, const char *key, char *text, size_t size) {
    char line_text[512];
    FILE *stream = fopen(file, "r");
    text[0] = '\0';
    while (stream && !text[0] && fgets(line_text, sizeof line_text, stream)) {
        if (strncmp(line_text, key, strlen(key)) != 0) continue;
        const char *value = line_text + strlen(key);
        value += strspn(value, " \t:");
        snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
    }
    if (stream) fclose(stream);
}

/* The control group's files hold "max" for no limit. */
static double control_group_cores(void) {
    char text[80], *end;
    find_line("/sys/fs/cgroup/cpu.max", "", text, sizeof text);
    double quota = strtod(text, &end), period = strtod(end, NULL);
    return quota > 0 && period > 0 ? quota / period : 0;
}

static Machine look(void) {
    Machine machine = {.online = (int)sysconf(_SC_NPROCESSORS_ONLN), .quota = control_group_cores()};
    char text[80];
    cpu_set_t cores;
    machine.usable = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : machine.online;
    machine.memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    find_line("/proc/meminfo", "MemAvailable", text, sizeof text);
    machine.free = text[0] ? strtod(text, NULL) * 1024 : -1;
    find_line("/sys/fs/cgroup/memory.max", "", text, sizeof text);
    machine.memory_limit = strtod(text, NULL);
    find_line("/proc/cpuinfo", "model name", machine.processor, sizeof machine.processor);
    return machine;
}

/* ---- the report ---------------------------------------------------------------------------------------- */

static void print_build(void) {
    line("version", "%s", BROOD_VERSION);
    line("build", "%s, %s%s%s, by %s %s", OPTIMIZED ? "release" : "debug", REAL_NAME, *SANITIZER ? ", " : "",
         SANITIZER,
#ifdef __clang__
         "clang", __clang_version__
#else
         "gcc", __VERSION__
#endif
    );
}

static void print_libraries(void) {
    static const char *const THREADS[] = {"no threads", "POSIX threads", "OpenMP"};
    int parallel = openblas_get_parallel();
    char config[200];
    snprintf(config, sizeof config, "%s", openblas_get_config());
    size_t length = strlen(config);
    while (length > 0 && config[length - 1] == ' ') config[--length] = '\0';
    line("BLAS", "%s kernels, %d thread, built with %s", openblas_get_corename(), openblas_get_num_threads(),
         THREADS[parallel >= 0 && parallel <= 2 ? parallel : 0]);
    line("", "(%s)", config);
    line("Lua", "%s", script_lua_version());
    line("libpng", "%s", png_get_libpng_ver(NULL));
    line("zlib", "%s", zlibVersion());
    line("SQLite", "%s", sqlite3_libversion());
    line("cJSON", "%s", cJSON_Version());
    unsigned hash = XXH_versionNumber();
    line("xxHash", "%u.%u.%u", hash / 10000, hash / 100 % 100, hash % 100);
    line("SLEEF", "%d.%d, exp(1) = %.5f", SLEEF_VERSION_MAJOR, SLEEF_VERSION_MINOR, Sleef_exp_u10(1.0));
}

static void print_machine(const Machine *machine) {
    if (machine->processor[0]) line("processor", "%s", machine->processor);
    line("instructions", "%s, of those compiled up to %s", isa_text(isa_level()), isa_text(ISA_LEVELS - 1));
    if (machine->quota > 0)
        line("cores", "%d online, %d usable, a quota of %.2g", machine->online, machine->usable,
             machine->quota);
    else
        line("cores", "%d online, %d usable", machine->online, machine->usable);
    if (machine->free >= 0)
        line("memory", "%.1f GiB, %.1f GiB available", machine->memory / GIB, machine->free / GIB);
    else
        line("memory", "%.1f GiB", machine->memory / GIB);
    if (machine->memory_limit > 0) line("memory limit", "%.1f GiB", machine->memory_limit / GIB);
}

static void print_hints(const Machine *machine) {
    const char *isa = getenv("BROOD_ISA"), *core = getenv("OPENBLAS_CORETYPE");
    if (!OPTIMIZED || *SANITIZER)
        hint("this build is for finding faults: it is many times slower than a release build");
    if (sizeof(real) == sizeof(double))
        hint("numbers are double, which is for testing gradients: training runs at half the speed");
    if (isa) hint("BROOD_ISA is set to '%s': the level in use is %s", isa, isa_text(isa_level()));
    if (core) hint("OPENBLAS_CORETYPE is set to '%s'", core);
    if (!core && strstr(machine->processor, "AMD") && strcmp(isa_text(isa_level()), "avx512") == 0)
        hint("on AMD processors with AVX-512, OpenBLAS is often 5 to 10 %% faster with "
             "OPENBLAS_CORETYPE=Haswell");
    if (machine->usable < machine->online)
        hint("this process may use %d of %d cores: see taskset", machine->usable, machine->online);
    if (machine->quota > 0 && machine->quota < machine->usable)
        hint("the control group allows %.2g cores: more workers than that only wait for each other",
             machine->quota);
    if (machine->free >= 0 && machine->free < GIB) hint("little memory is available: close other programs");
    if (getenv("LUA_PATH") || getenv("LUA_PATH_5_4") || getenv("LUA_INIT"))
        hint("LUA_PATH and LUA_INIT are set: Brood does not read them");
    if (openblas_get_parallel() == 2)
        hint("OpenBLAS is built with OpenMP: libopenblas0-pthread keeps workers apart more reliably");
}

int doctor_command(const AppOptions *options, int argc, char **argv) {
    (void)argc, (void)argv;
    Machine machine = look();
    puts("Brood");
    print_build();
    line("Lua library", "%s", options->scripts ? options->scripts : "inside the program");
    puts("Libraries");
    print_libraries();
    puts("Machine");
    print_machine(&machine);
    print_hints(&machine);
    return EXIT_FINE;
}
