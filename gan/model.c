#include "gan/model.h"

#include <string.h>

#include "base/memory.h"
#include "base/random.h"

void model_free(Model *model) {
    for (size_t i = 0; i < model->program_count; i++) program_free(model->programs[i]);
    model->program_count = 0;
    program_free(model->sampler);
    program_free(model->raw_sampler);
    model->sampler = model->raw_sampler = NULL;
    layout_free(model->layout);
    model->layout = NULL;
}

Status model_member(const Model *model, uint64_t seed, uint64_t slot, Member *member, Error *error) {
    Status status = member_new(member, &model->trainer, error);
    member->key = random_key(seed, slot, "member");
    return status;
}

/* ---- sampling ------------------------------------------------------------------------------------------ */

static int input_of(const Model *model, const char *name) {
    return program_input_index(model->sampler, name);
}

size_t model_image_numbers(const Model *model) {
    Shape shape = program_output_shape(model->sampler, 0);
    return (size_t)(shape_count(shape) / shape.size[0]);
}

size_t model_sampler_batch(const Model *model) {
    return (size_t)program_output_shape(model->sampler, 0).size[0];
}

size_t model_latent(const Model *model) {
    int z = input_of(model, "z");
    if (z < 0) return 0;
    return (size_t)shape_count(program_input_shape(model->sampler, (size_t)z)) / model_sampler_batch(model);
}

bool model_conditional(const Model *model) {
    return input_of(model, "labels") >= 0;
}

/* One batch of `count` images, at most a whole one. What is missing of a whole one is made of zeros and the
 * first class, and thrown away. */
static Status sample_batch(const Model *model, const Program *program, State *state, Workspace *workspace,
                           const real *latents, size_t count, const real *labels, real *images,
                           Error *error) {
    size_t batch = model_sampler_batch(model), latent = model_latent(model);
    int z = program_input_index(program, "z"), classes = program_input_index(program, "labels");
    if (z >= 0) {
        real *into = workspace_input(workspace, program, (size_t)z);
        memset(into, 0, batch * latent * sizeof(real));
        memcpy(into, latents, count * latent * sizeof(real));
    }
    if (classes >= 0) {
        real *into = workspace_input(workspace, program, (size_t)classes);
        for (size_t i = 0; i < batch; i++) into[i] = i < count ? labels[i] : 1;
    }
    Status status = program_run(program, state, workspace, 0, 0, error);
    if (status == STATUS_OK)
        memcpy(images, workspace_output(workspace, program, 0),
               count * model_image_numbers(model) * sizeof(real));
    return status;
}

Status model_sample_from(const Model *model, bool raw, State *state, Workspace *workspace,
                         const real *latents, size_t count, const real *labels, real *images, Error *error) {
    const Program *program = raw ? model->raw_sampler : model->sampler;
    size_t batch = model_sampler_batch(model);
    if (model_conditional(model) && !labels)
        return error_set(error, STATUS_INVALID, "a conditional generator needs labels to sample by");
    Status status = workspace_reserve(workspace, program, error);
    for (size_t done = 0; done < count && status == STATUS_OK; done += batch) {
        size_t some = count - done < batch ? count - done : batch;
        status =
            sample_batch(model, program, state, workspace, latents + done * model_latent(model), some,
                         labels ? labels + done : NULL, images + done * model_image_numbers(model), error);
    }
    return status;
}

Status model_sample(const Model *model, bool raw, State *state, Workspace *workspace, uint64_t key,
                    size_t first, size_t count, const real *labels, real *images, Error *error) {
    size_t latent = model_latent(model),
           classes = model->trainer.data ? (size_t)model->trainer.data->classes : 0;
    real *latents = memory_new(count, latent * sizeof(real)), *in_turn = memory_new(count, sizeof(real));
    Status status = latents && in_turn ? STATUS_OK : error_no_memory(error, "latent vectors");
    if (status == STATUS_OK) {
        random_normal(key, 0, first * latent, count * latent, latents);
        for (size_t i = 0; i < count; i++) in_turn[i] = classes ? (real)(1 + (first + i) % classes) : 1;
        status = model_sample_from(model, raw, state, workspace, latents, count, labels ? labels : in_turn,
                                   images, error);
    }
    memory_free(latents);
    memory_free(in_turn);
    return status;
}
