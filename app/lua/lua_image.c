/* brood.image: pictures out of scripts. */
#include "gan/data/image.h"

#include <inttypes.h>

#include "app/lua/lua_graph.h"
#include "app/lua/lua_image.h"
#include "app/lua/lua_script.h"

static Value *value_check(lua_State *L, int index, const char *what) {
    return binding_object(L, index, VALUE_CLASS, what);
}

static int64_t option(lua_State *L, int table, const char *name, int64_t otherwise) {
    int64_t value = binding_field(L, table, name) == LUA_TNIL ? otherwise : binding_integer(L, -1, name, 0, IMAGE_SIDE_LIMIT);
    lua_pop(L, 1);
    return value;
}

/* Writes and frees the picture, whose making ended with `status`. */
static int finish(lua_State *L, Status status, const char *path, Image *picture, Error *error) {
    if (status == STATUS_OK) status = png_write(path, picture, error);
    image_free(picture);
    if (status != STATUS_OK) script_error(L, "%s", error->message);
    return 0;
}

/* image.grid(path, images [, { columns =, margin =, magnify = }]) */
static int image_grid(lua_State *L) {
    static const char *const FIELDS[] = {"columns", "margin", "magnify", NULL};
    const char *path = binding_text(L, 1, "image.grid: path");
    const Value *images = value_check(L, 2, "image.grid: images");
    binding_fields(L, 3, "image.grid", FIELDS);
    char text[SHAPE_TEXT];
    if (images->shape.rank != 4)
        script_error(L, "image.grid: images (n, height, width, channels) expected, got %s", shape_text(images->shape, text));
    GridStyle style = grid_style();
    style.columns = option(L, 3, "columns", style.columns);
    style.margin = option(L, 3, "margin", style.margin);
    style.magnify = option(L, 3, "magnify", style.magnify);
    const int64_t *size = images->shape.size;
    Image sheet;
    Error error;
    Status status = grid_of_reals(&style, size[0], size[1], size[2], size[3], images->data, &sheet, &error);
    return finish(L, status, path, &sheet, &error);
}

/* image.scatter(path, extent, real points, generated points) */
static int image_scatter(lua_State *L) {
    const char *path = binding_text(L, 1, "image.scatter: path");
    ScatterStyle style = scatter_style(binding_number(L, 2, "image.scatter: extent"));
    const Value *reals = value_check(L, 3, "image.scatter: real points");
    const Value *fakes = value_check(L, 4, "image.scatter: generated points");
    if (reals->count % 2 || fakes->count % 2) script_error(L, "image.scatter: points (n, 2) expected");
    Image picture;
    Error error;
    Status status = scatter_plot(&style, reals->data, reals->count / 2, fakes->data, fakes->count / 2, &picture, NULL, &error);
    return finish(L, status, path, &picture, &error);
}

static const BindingFunction FUNCTIONS[] = {
    {"grid", "(path: string, images: brood.Value, options?: {columns?: integer, margin?: integer, magnify?: integer})",
     "Writes images (n, height, width, channels) in [-1, 1] as one PNG.", image_grid},
    {"scatter", "(path: string, extent: number, real: brood.Value, fake: brood.Value)",
     "Plots points (n, 2) as a PNG: real ones blue, generated ones orange.", image_scatter},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_image = {"brood.image", "Pictures.", FUNCTIONS, NULL};
