#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "pbt/population.h"

/* ---- company ------------------------------------------------------------------------------------------- */

Status company_new(Company *company, size_t room, Error *error) {
    *company = (Company){.views = memory_new(room, sizeof *company->views),
                         .standings = memory_new(room, sizeof *company->standings)};
    if (company->views && company->standings) return STATUS_OK;
    company_free(company);
    return error_no_memory(error, "comparing members");
}

void company_free(Company *company) {
    memory_free(company->views);
    memory_free(company->standings);
    *company = (Company){.count = 0};
}

void company_add(Company *company, const Standing *standing) {
    size_t at = company->count++;
    for (; at > 0 && company->standings[at - 1]->slot > standing->slot; at--) {
        company->standings[at] = company->standings[at - 1];
        company->views[at] = company->views[at - 1];
    }
    company->standings[at] = standing;
    company->views[at] = slot_view(standing);
}

/* ---- choosing donors ----------------------------------------------------------------------------------- */

static PbtStream stream(const PbtRun *run, int64_t slot, const char *purpose, int64_t round) {
    return (PbtStream){random_key(run->options.seed, (uint64_t)slot, purpose), (uint64_t)round};
}

static Status ask_callback(PbtRun *run, const Company *company, size_t me, PbtStream draws, ptrdiff_t *donor,
                           Error *error) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    *donor = -1;
    Status status = callbacks->exploit(callbacks->context, run->settings.exploit.token, company->views,
                                       company->count, me, draws, donor, error);
    if (status || *donor == -1) return status;
    long long slot = (long long)company->views[me].slot;
    if (*donor < 0 || (size_t)*donor >= company->count)
        return error_set(error, STATUS_INVALID,
                         "exploit: the function named donor %td for member %lld: there are %zu members",
                         *donor, slot, company->count);
    if ((size_t)*donor == me)
        return error_set(error, STATUS_INVALID, "exploit: the function named member %lld its own donor",
                         slot);
    if (company->views[*donor].failed)
        return error_set(
            error, STATUS_INVALID,
            "exploit: the function named member %lld as donor for member %lld, but it has failed",
            (long long)company->views[*donor].slot, slot);
    return STATUS_OK;
}

/* The donor of a part; any part but the first takes the first one's donor where the rule selects none. */
static Status choose_donor(PbtRun *run, const Company *company, size_t me, int64_t round, uint64_t part,
                           ptrdiff_t *donor, Error *error) {
    const PbtView *view = &company->views[me];
    PbtStream draws = stream(run, view->slot, "pbt.exploit", round), ties = stream(run, 0, "pbt.ties", round);
    const PbtExploit *exploit = &run->settings.exploit;
    if (exploit->kind == PBT_EXPLOIT_CALLBACK && !view->failed)
        return ask_callback(run, company, me, draws, donor, error);
    *donor = pbt_exploit_choose(exploit, company->views, company->count, me, draws, part, ties);
    return STATUS_OK;
}

/* A member that failed takes the donor's weights under every control: there is nothing else to go on with. */
static void decide_what(const PbtRun *run, Heritage *heritage) {
    PbtControl control = run->options.control;
    heritage->weights = heritage->replaced || (control != PBT_HYPERS_ONLY && control != PBT_EXPLORE_ONLY);
    heritage->hypers = control != PBT_WEIGHTS_ONLY && control != PBT_EXPLORE_ONLY;
    heritage->explores = control != PBT_WEIGHTS_ONLY && control != PBT_NO_EXPLORE;
}

Status inherit_choose(PbtRun *run, const Company *company, size_t me, int64_t round, Heritage *heritage,
                      Error *error) {
    const PbtOptions *options = &run->options;
    const PbtView *view = &company->views[me];
    *heritage = (Heritage){.whole = true, .replaced = view->failed};
    decide_what(run, heritage);
    if (options->control == PBT_RANDOM_SEARCH || view->pinned) return STATUS_OK;
    if (view->steps < options->burn_in && !view->failed) return STATUS_OK;
    ptrdiff_t donor = -1;
    Status status = choose_donor(run, company, me, round, 0, &donor, error);
    if (status || donor < 0) return status;
    bool callback = run->settings.exploit.kind == PBT_EXPLOIT_CALLBACK;
    for (size_t part = 0; part < run_parts(run); part++) {
        ptrdiff_t other = donor;
        if (options->recombine && part > 0 && !callback) {
            choose_donor(run, company, me, round, part, &other, error); /* a rule: cannot fail */
            if (other < 0) other = donor;
        }
        heritage->donors[part] = company->standings[other];
        heritage->whole = heritage->whole && other == donor;
    }
    return STATUS_OK;
}

/* ---- taking over --------------------------------------------------------------------------------------- */

/* Structural ones belong to the weights. */
static bool inherit_values(const PbtSpace *space, double *values, const double *donor,
                           const Heritage *heritage) {
    bool reshaped = false;
    for (size_t i = 0; i < space->count; i++) {
        bool structural = space->hypers[i].structural;
        if (!(structural ? heritage->weights : heritage->hypers)) continue;
        reshaped = reshaped || (structural && values[i] != donor[i]);
        values[i] = donor[i];
    }
    return reshaped;
}

Status inherit_standing(PbtRun *run, Slot *slot, const Heritage *heritage, Error *error) {
    const Standing *donor = heritage->donors[0];
    Standing *now = &slot->now;
    bool reshaped = inherit_values(&run->options.space, now->values, donor->values, heritage);
    if (!heritage->weights) return STATUS_OK;
    now->parent = donor->parent;
    now->parent_round = donor->parent_round;
    now->age = donor->age;
    now->score = donor->score;
    now->fitness = donor->fitness;
    memcpy(now->window, donor->window, sizeof now->window);
    now->window_count = donor->window_count;
    Status status = STATUS_OK;
    if (reshaped || heritage->replaced) status = slot_create(run, run_worker(run), slot, error);
    snprintf(now->state, sizeof now->state, "%s", heritage->whole && !now->failed ? donor->state : "");
    return status;
}

/* ---- changing ------------------------------------------------------------------------------------------ */

static Status explore_by_callback(PbtRun *run, Standing *now, PbtStream draws, Error *error) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    const PbtSpace *space = &run->options.space;
    double before[PBT_HYPERS];
    memcpy(before, now->values, sizeof before);
    Status status =
        callbacks->explore(callbacks->context, run->settings.explore.token, draws, now->values, error);
    if (!status) status = pbt_space_keep(space, now->values, error);
    if (status) {
        error_prefix(error, "explore, for member %lld: ", (long long)now->slot);
        return status;
    }
    for (size_t i = 0; i < space->count; i++)
        if (!space_explorable(&space->hypers[i])) now->values[i] = before[i];
    return STATUS_OK;
}

static Status tell_donors(PbtRun *run, const Slot *slot, const Heritage *heritage, Error *error) {
    const char *kind = !heritage->weights   ? "took hyperparameters"
                       : heritage->replaced ? "replaced"
                                            : "copied";
    if (!heritage->weights && !heritage->hypers) return STATUS_OK;
    size_t parts = heritage->whole ? 1 : run_parts(run);
    for (size_t part = 0; part < parts; part++) {
        const char *name = heritage->whole ? "" : run->options.kind->parts[part];
        Status status = run_event(run, error, kind, slot->now.slot, heritage->donors[part]->slot, "%s", name);
        if (status) return status;
    }
    return STATUS_OK;
}

Status inherit_finish(PbtRun *run, Slot *slot, const Heritage *heritage, int64_t round, Error *error) {
    if (slot->now.failed) return slot_tell(run, slot, error);
    Status status = tell_donors(run, slot, heritage, error);
    if (status) return status;
    if (heritage->explores) {
        PbtStream draws = stream(run, slot->now.slot, "pbt.explore", round);
        if (run->settings.explore.kind == PBT_EXPLORE_CALLBACK)
            status = explore_by_callback(run, &slot->now, draws, error);
        else
            pbt_explore_apply(&run->settings.explore, &run->options.space, draws.key, draws.counter,
                              slot->now.values);
        if (!status) status = run_event(run, error, "explored", slot->now.slot, NOBODY, "%s", "");
        if (status) return status;
    }
    status = slot_apply(run, run_worker(run), slot, error);
    return status ? status : slot_tell(run, slot, error);
}
