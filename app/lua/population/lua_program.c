/* Members that are programs: app/members/program.h, with what the table says of them. */
#include "app/lua/lua_script.h"
#include "app/lua/population/lua_population.h"

void program_members(lua_State *L, int spec, int keeps, Population *population) {
    size_t words;
    const char *const *command = options_texts(L, spec, keeps, "command", &words);
    const char **ended = binding_keep(L, keeps, words + 1, sizeof *ended); /* by NULL */
    for (size_t i = 0; i < words; i++) ended[i] = command[i];
    ProgramOptions options = {
        .command = ended, .folder = population->options.directory, .space = population->options.space};
    if (binding_field(L, spec, "time_limit") != LUA_TNIL)
        options.time_limit = binding_number(L, -1, "time_limit");
    if (binding_field(L, spec, "working_directory") != LUA_TNIL)
        options.working_directory = binding_keep_text(L, keeps, "working_directory");
    else
        lua_pop(L, 1);
    lua_pop(L, 1);
    options.reports = options_texts(L, spec, keeps, "reports", &options.report_count);
    Error error;
    if (program_kind_new(&population->program, &options, &error)) script_error(L, "%s", error.message);
    population->options.kind = program_kind(population->program);
}
