/* A model: everything that members of one architecture share. It owns its programs, its layout and the
 * numbers that a member starts from; it never changes once it is finished, and all threads may use it. */
#ifndef BROOD_GAN_MODEL_H
#define BROOD_GAN_MODEL_H

#include "gan/trainer.h"

typedef struct {
    TrainerModel trainer;
    Layout *layout;
    /* z (batch, latent) and, for conditional ones, labels (batch) → images (batch, h, w, c), by the averages
     * of the generator where it has them. NULL: nothing to sample, and only the first two functions apply. */
    Program *sampler;
    Program *raw_sampler; /* the same by the weights themselves */
    Program *programs[2 * TRAINER_PLAYERS];
    size_t program_count;
} Model;

void model_free(Model *model);

/* The member of a run's slot, before its first step: its random streams are its own. Its state is zeros, for
 * the caller to fill, averages too. */
Status model_member(const Model *model, uint64_t seed, uint64_t slot, Member *member, Error *error);

size_t model_image_numbers(const Model *model); /* in one image */
size_t model_sampler_batch(const Model *model); /* images that the sampler makes at a time */
size_t model_latent(const Model *model);        /* numbers in a latent vector; 0: it does not depend on one */
bool model_conditional(const Model *model);

/* Generates images first .. first + count − 1 of an endless row of fixed latent vectors, which `key` chooses.
 * `labels` (count, from 1; NULL for classes in turn) condition them where the model is conditional. Image n
 * is the same, bit for bit, whatever else is asked for, as long as the generator samples by its running
 * statistics. `images` takes count × model_image_numbers. */
Status model_sample(const Model *model, bool raw, State *state, Workspace *workspace, uint64_t key,
                    size_t first, size_t count, const real *labels, real *images, Error *error);
/* The same from given latent vectors (count, latent). A conditional model needs labels here. */
Status model_sample_from(const Model *model, bool raw, State *state, Workspace *workspace,
                         const real *latents, size_t count, const real *labels, real *images, Error *error);

#endif
