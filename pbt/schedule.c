/* What a schedule may do between rounds. */
#include <string.h>

#include "base/random.h"
#include "pbt/population.h"
#include "pbt/store/store.h"

static Status check_time(const PbtRun *run, const char *what, Error *error) {
    if (run->scheduling) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "%s: only the schedule can do this, between rounds", what);
}

static Status find_slot(const PbtRun *run, const char *what, int64_t slot, Slot **found, Error *error) {
    Status status = check_time(run, what, error);
    if (status) return status;
    size_t index = run_find(run, slot);
    if (index == run->count)
        return error_set(error, STATUS_INVALID, "%s: there is no member %lld", what, (long long)slot);
    *found = run->slots[index];
    return STATUS_OK;
}

/* ---- settings ------------------------------------------------------------------------------------------ */

Status pbt_run_set_interval(PbtRun *run, int64_t steps, Error *error) {
    Status status = check_time(run, "interval", error);
    if (status) return status;
    if (steps < 1)
        return error_set(error, STATUS_INVALID, "an interval of %lld steps: at least 1 was expected",
                         (long long)steps);
    if (steps == run->settings.interval) return STATUS_OK;
    run->settings.interval = steps;
    return run_event(run, error, "interval", NOBODY, NOBODY, "%lld", (long long)steps);
}

Status pbt_run_set_exploit(PbtRun *run, const PbtExploit *exploit, Error *error) {
    char text[STORE_RULE];
    Status status = check_time(run, "exploit", error);
    if (!status) status = run_check_rules(run, exploit, &run->settings.explore, error);
    if (status) return status;
    run->settings.exploit = *exploit;
    store_exploit_text(exploit, text);
    return run_event(run, error, "exploit", NOBODY, NOBODY, "%s", text);
}

Status pbt_run_set_explore(PbtRun *run, const PbtExplore *explore, Error *error) {
    char text[STORE_RULE];
    Status status = check_time(run, "explore", error);
    if (!status) status = run_check_rules(run, &run->settings.exploit, explore, error);
    if (status) return status;
    run->settings.explore = *explore;
    store_explore_text(explore, text);
    return run_event(run, error, "explore", NOBODY, NOBODY, "%s", text);
}

Status pbt_run_stop(PbtRun *run, Error *error) {
    Status status = check_time(run, "stop", error);
    if (status || run->stopped) return status;
    run->stopped = true;
    return run_event(run, error, "stopped", NOBODY, NOBODY, "%s", "");
}

Status pbt_run_go_on(PbtRun *run, Error *error) {
    if (!run->stopped) return STATUS_OK;
    run->stopped = false;
    return run_event(run, error, "went on", NOBODY, ASIDE, "%s", "");
}

/* ---- members ------------------------------------------------------------------------------------------- */

Status pbt_run_pin(PbtRun *run, int64_t slot, Error *error) {
    Slot *pinned;
    Status status = find_slot(run, "pin", slot, &pinned, error);
    if (status) return status;
    if (pinned->now.failed)
        return error_set(error, STATUS_INVALID, "pin: member %lld has failed: there is nothing to keep",
                         (long long)slot);
    pinned->now.pinned = true;
    if (run->store) status = store_put_pin(run->store, slot, run->round, pinned->now.state, error);
    return status ? status : run_event(run, error, "pinned", slot, NOBODY, "%s", pinned->now.state);
}

static Status check_values(const PbtRun *run, const Slot *slot, const double *values, Error *error) {
    const PbtSpace *space = &run->options.space;
    double kept[PBT_HYPERS];
    memcpy(kept, values, space->count * sizeof *kept);
    Status status = pbt_space_keep(space, kept, error);
    for (size_t i = 0; !status && i < space->count; i++) {
        bool structural = space->hypers[i].structural && values[i] != slot->now.values[i];
        if (kept[i] != values[i] || structural)
            status = error_set(error, STATUS_INVALID, "hyperparameter %s of member %lld cannot become %g: %s",
                               space->hypers[i].name, (long long)slot->now.slot, values[i],
                               structural ? "it is structural" : "that is outside of its range");
    }
    return status;
}

Status pbt_run_set_values(PbtRun *run, int64_t slot, const double *values, Error *error) {
    Slot *changed;
    Status status = find_slot(run, "values", slot, &changed, error);
    if (!status) status = check_values(run, changed, values, error);
    if (status) return status;
    memcpy(changed->now.values, values, run->options.space.count * sizeof *values);
    status = slot_apply(run, run_worker(run), changed, error);
    if (!status) status = slot_tell(run, changed, error);
    return status ? status : run_event(run, error, "values", slot, NOBODY, "%s", "");
}

Status pbt_run_fork(PbtRun *run, int64_t from, int64_t into, Error *error) {
    Slot *donor, *copier;
    Status status = find_slot(run, "fork", from, &donor, error);
    if (!status) status = find_slot(run, "fork", into, &copier, error);
    if (status) return status;
    if (from == into || donor->now.failed || copier->now.pinned)
        return error_set(error, STATUS_INVALID, "fork: member %lld cannot become a copy of member %lld: %s",
                         (long long)into, (long long)from,
                         from == into        ? "they are one"
                         : donor->now.failed ? "that one has failed"
                                             : "it is pinned");
    Heritage heritage = {.weights = true, .hypers = true, .whole = true, .replaced = copier->now.failed};
    for (size_t part = 0; part < run_parts(run); part++) heritage.donors[part] = &donor->now;
    status = inherit_standing(run, copier, &heritage, error);
    if (!status) status = slot_copy(run, run_worker(run), copier, donor->member, run_all_parts(run), error);
    if (!status) status = slot_prove(run, copier, donor->now.state, donor->member, error);
    if (!status) status = slot_apply(run, run_worker(run), copier, error);
    if (!status) status = slot_tell(run, copier, error);
    return status ? status : run_event(run, error, "forked", into, from, "%s", "");
}

Status pbt_run_add(PbtRun *run, size_t count, Error *error) {
    Status status = check_time(run, "add", error);
    if (!status && count > PBT_POPULATION - run->count)
        status = error_set(error, STATUS_INVALID, "add: %zu more than %zu members: at most %d can be had",
                           count, run->count, PBT_POPULATION);
    for (size_t i = 0; !status && i < count; i++) {
        Slot *slot;
        status = run_add_slot(run, run->next_slot, &slot, error);
        if (status) break;
        slot->now.round = run->round;
        uint64_t key = random_key(run->options.seed, (uint64_t)slot->now.slot, "pbt.prior");
        pbt_space_sample(&run->options.space, key, 0, slot->now.values);
        status = slot_create(run, run_worker(run), slot, error);
        if (!status) status = run_event(run, error, "added", slot->now.slot, NOBODY, "%s", "");
        if (!status) status = slot_save(run, run_worker(run), slot, error);
        if (!status) status = run_saved(run, slot, error);
        if (!status) status = slot_tell(run, slot, error);
    }
    return status;
}

Status pbt_run_drop(PbtRun *run, int64_t slot, Error *error) {
    Slot *dropped;
    Status status = find_slot(run, "drop", slot, &dropped, error);
    if (status) return status;
    if (run->count == 1)
        return error_set(error, STATUS_INVALID, "drop: member %lld is the last one", (long long)slot);
    run_remove_slot(run, run_find(run, slot));
    return run_event(run, error, "dropped", slot, NOBODY, "%s", "");
}
