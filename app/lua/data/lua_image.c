/* brood.image: pictures out of scripts. */
#include "gan/data/image.h"

#include <inttypes.h>
#include <string.h>

#include "app/lua/data/lua_image.h"
#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"

static Value *value_check(lua_State *L, int index, const char *what) {
    return binding_object(L, index, VALUE_CLASS, what);
}

static int64_t option(lua_State *L, int table, const char *name, int64_t otherwise) {
    int64_t value = binding_field(L, table, name) == LUA_TNIL
                        ? otherwise
                        : binding_integer(L, -1, name, 0, IMAGE_SIDE_LIMIT);
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
        script_error(L, "image.grid: images (n, height, width, channels) expected, got %s",
                     shape_text(images->shape, text));
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

/* image.scatter(extent, real points, generated points [, side]) → an image */
static int image_scatter(lua_State *L) {
    ScatterStyle style = scatter_style(binding_number(L, 1, "image.scatter: extent"));
    const Value *reals = value_check(L, 2, "image.scatter: real points");
    const Value *fakes = value_check(L, 3, "image.scatter: generated points");
    if (!lua_isnoneornil(L, 4))
        style.side = binding_integer(L, 4, "image.scatter: side", 16, IMAGE_SIDE_LIMIT);
    if (reals->count % 2 || fakes->count % 2) script_error(L, "image.scatter: points (n, 2) expected");
    Value *made = value_push(L, (Shape){.rank = 4, .size = {1, style.side, style.side, 3}});
    Image picture;
    Error error;
    if (scatter_plot(&style, reals->data, reals->count / 2, fakes->data, fakes->count / 2, &picture, NULL,
                     &error))
        script_error(L, "%s", error.message);
    bytes_to_image(picture.pixels, made->count, made->data);
    image_free(&picture);
    return 1;
}

/* image.spread(images) */
static int image_spread(lua_State *L) {
    const Value *images = value_check(L, 1, "image.spread: images");
    if (images->shape.rank < 1 || images->count == 0) script_error(L, "image.spread: images expected");
    size_t count = (size_t)images->shape.size[0], numbers = images->count / count;
    lua_pushnumber(L, images_spread(images->data, count, numbers));
    return 1;
}

/* Images of the shape of the value at `index`, but `count` of them. Pushes them. */
static Value *push_images(lua_State *L, int index, const char *what, int64_t count) {
    Shape shape = value_check(L, index, what)->shape;
    shape.size[0] = count;
    return value_push(L, shape);
}

static bool same_images(const Value *a, const Value *b) {
    Shape shape = a->shape;
    if (shape.rank > 0 && b->shape.rank > 0) shape.size[0] = b->shape.size[0];
    return shape.rank > 0 && shape_equal(shape, b->shape);
}

/* image.join(list): all images of several values */
static int image_join(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_Integer parts = (lua_Integer)lua_rawlen(L, 1);
    int64_t count = 0;
    lua_rawgeti(L, 1, 1);
    const Value *first = value_check(L, 2, "image.join: the first");
    for (lua_Integer i = 1; i <= parts; i++) {
        lua_rawgeti(L, 1, i);
        const Value *part = value_check(L, -1, "image.join");
        if (!same_images(first, part)) script_error(L, "image.join: images of one shape expected");
        count += part->shape.size[0];
        lua_pop(L, 1);
    }
    real *into = push_images(L, 2, "image.join", count)->data;
    for (lua_Integer i = 1; i <= parts; i++) {
        lua_rawgeti(L, 1, i);
        const Value *part = value_check(L, -1, "image.join");
        memcpy(into, part->data, part->count * sizeof(real));
        into += part->count;
        lua_pop(L, 1);
    }
    return 1;
}

/* image.pairs(left, right): images taken in turn, one of the left, one of the right */
static int image_pairs(lua_State *L) {
    const Value *left = value_check(L, 1, "image.pairs: left"),
                *right = value_check(L, 2, "image.pairs: right");
    if (!shape_equal(left->shape, right->shape))
        script_error(L, "image.pairs: as many of the same shape expected");
    if (left->shape.rank < 1) script_error(L, "image.pairs: images expected");
    size_t count = (size_t)left->shape.size[0], numbers = left->count / count;
    Value *pairs = push_images(L, 1, "image.pairs", 2 * left->shape.size[0]);
    for (size_t i = 0; i < count; i++) {
        memcpy(pairs->data + 2 * i * numbers, left->data + i * numbers, numbers * sizeof(real));
        memcpy(pairs->data + (2 * i + 1) * numbers, right->data + i * numbers, numbers * sizeof(real));
    }
    return 1;
}

static const BindingFunction FUNCTIONS[] = {
    {"grid",
     "(path: string, images: brood.Value, options?: {columns?: integer, margin?: integer, magnify?: "
     "integer})",
     "Writes images (n, height, width, channels) in [-1, 1] as one PNG.", image_grid},
    {"scatter", "(extent: number, real: brood.Value, fake: brood.Value, side?: integer): brood.Value",
     "Plots points (n, 2), real ones blue, generated ones orange: an image (1, side, side, 3).",
     image_scatter},
    {"spread", "(images: brood.Value): number",
     "How much images differ: the standard deviation of each pixel over all of them, averaged over the "
     "pixels.",
     image_spread},
    {"join", "(list: brood.Value[]): brood.Value", "All images of several values, one after the other.",
     image_join},
    {"pairs", "(left: brood.Value, right: brood.Value): brood.Value", "Images taken from both in turn.",
     image_pairs},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_image = {"brood.image", "Pictures.", FUNCTIONS, NULL};
