/* brood.initializer: what parameters begin with. */
#include "gan/initializer.h"

#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_initializer.h"
#include "app/lua/lua_script.h"

static InitializerKind kind_named(lua_State *L, const char *text) {
    for (int kind = 0; kind < INITIALIZER_KINDS; kind++)
        if (strcmp(initializer_text((InitializerKind)kind), text) == 0) return (InitializerKind)kind;
    script_error(L, "there is no initializer '%s'", text);
}

/* initializer.fill(kind, number, shape, seed) */
static int fill(lua_State *L) {
    Initializer initializer = {.kind = kind_named(L, binding_text(L, 1, "initializer: kind")),
                               .number = binding_number(L, 2, "initializer: number")};
    Shape shape = binding_shape(L, 3, "initializer: shape", false);
    uint64_t key = (uint64_t)binding_integer(L, 4, "initializer: seed", INT64_MIN, INT64_MAX);
    Value *value = value_push(L, shape);
    Error error;
    if (initializer_fill(initializer, shape, key, value->data, &error) != STATUS_OK)
        script_error(L, "%s", error.message);
    return 1;
}

static const BindingFunction FUNCTIONS[] = {
    {"fill", "(kind: string, number: number, shape: integer[], seed: integer): brood.Value",
     "The numbers of an initializer: constant, normal (deviation), uniform (bound) or orthogonal (gain).",
     fill},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_initializer = {"brood.initializer", "What parameters begin with.", FUNCTIONS,
                                           NULL};
