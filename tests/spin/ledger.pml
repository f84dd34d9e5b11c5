/*
 * The protocol of src/ipc/ledger.c, one GPU slot. Row 0 is a process with two threads, killed at any
 * instant; row 1 a process that lives on. A reaper, itself killed once at any instant and begun
 * anew, gives back what row 0 held; then row 0 is used by another process. Every access to shared
 * memory is a step of its own; `truth` is what a change that happened has added up to (rule 1).
 *
 * Claims: the total never exceeds the limit and is always the truth; a reaper that is done has given
 * back exactly what the dead process held; in the end the rows add up to the total; nobody is stuck.
 */
#ifndef VICTIM_CHANGES
#define VICTIM_CHANGES 1 /* that each thread of row 0 makes */
#endif
#ifndef OTHER_CHANGES
#define OTHER_CHANGES 1
#endif
#define LIMIT   2
#define INTENTS 3
#define FIRST(row) ((row) * 2)
#define ROW_OF(id) ((id) / 2)

#define IDLE    0
#define PENDING 1
#define DONE    2

/* Without rule 2 the claims must fail: `check` makes sure that this model would see it. */
#ifdef WITHOUT_RULE_2
#define MARK PENDING
#else
#define MARK DONE
#endif

short total_pages;
byte total_id, total_sequence;
byte state[INTENTS], sequence[INTENTS];
short after_pages[INTENTS], used_pages[INTENTS];
bool is_empty;

bool is_killed;       /* the process of row 0 */
bool is_reaper_killed;
byte threads_of_row_0; /* that have not ended */
byte others;           /* that have not ended */
short held[2];         /* in the processes' own memory: taken, known to be taken, not given back */
short truth[2];

#define IS_TOTAL(pages, id, seq)                                                                   \
    (total_pages == pages && total_id == id && total_sequence == seq)

/* make_change(): `has_happened` says whether the difference was made. */
inline change(me, difference)
{
    d_step {
        next = sequence[me] + 1;
        if
        :: total_id == me && total_sequence == next -> next++
        :: else
        fi
    };
    after_pages[me] = used_pages[me] + difference;
    d_step { state[me] = PENDING; sequence[me] = next };
    has_happened = false;
    do
    :: has_happened -> break
    :: else ->
        d_step { before = total_pages; before_id = total_id; before_sequence = total_sequence };
        if
        :: before + difference > LIMIT && difference > 0 -> break
        :: else
        fi;
        assert(before + difference >= 0);
        settle();
        if
        :: is_settled ->
            d_step {
                if
                :: IS_TOTAL(before, before_id, before_sequence) ->
                    total_pages = before + difference;
                    total_id = me;
                    total_sequence = next;
                    truth[ROW_OF(me)] = truth[ROW_OF(me)] + difference;
                    has_happened = true;
                    assert(total_pages <= LIMIT);
                    assert(truth[ROW_OF(me)] >= 0);
                    assert(total_pages == truth[0] + truth[1])
                :: else
                fi
            }
        :: else
        fi
    od;
    if
    :: has_happened -> used_pages[me] = after_pages[me]
    :: else
    fi;
    /* What is dead from here on is cleared so that states which differ in nothing else are one. */
    d_step {
        state[me] = IDLE;
        after_pages[me] = 0;
        before = 0;
        before_id = 0;
        before_sequence = 0;
        next = 0;
        is_settled = false
    }
}

inline settle()
{
    is_settled = true;
    d_step { word_state = state[before_id]; word_sequence = sequence[before_id] };
    if
    :: word_state == PENDING && word_sequence == before_sequence ->
        is_settled = IS_TOTAL(before, before_id, before_sequence);
        if
        :: is_settled ->
            d_step {
                if
                :: state[before_id] == word_state && sequence[before_id] == word_sequence ->
                    state[before_id] = MARK
                :: else
                fi
            }
        :: else
        fi
    :: else
    fi;
    d_step { word_state = 0; word_sequence = 0 }
}

#define LOCALS                                                                                     \
    short before, difference;                                                                      \
    byte before_id, before_sequence, next, word_state, word_sequence;                              \
    bool has_happened, is_settled

inline take_or_give(me)
{
    if
    :: difference = 1
    :: d_step { held[ROW_OF(me)] > 0 -> held[ROW_OF(me)] = held[ROW_OF(me)] - 1; difference = -1 }
    fi;
    change(me, difference);
    d_step {
        if
        :: has_happened && difference > 0 -> held[ROW_OF(me)] = held[ROW_OF(me)] + difference
        :: else
        fi;
        has_happened = false;
        difference = 0
    }
}

/* A thread of row 0: dead from one step to the next once its process is killed. */
proctype victim(byte me)
{
    LOCALS;
    byte count;

    {
        do
        :: count < VICTIM_CHANGES -> take_or_give(me); count++
        :: else -> break
        od
    } unless { is_killed };
    threads_of_row_0--
}

proctype other(byte me)
{
    LOCALS;
    byte count;

    do
    :: count < OTHER_CHANGES -> take_or_give(me); count++
    :: else -> break
    od;
    others--
}

/* rest_intent() */
inline rest(me)
{
    d_step { word_state = state[me]; word_sequence = sequence[me] };
    if
    :: word_state == IDLE
    :: else ->
        is_settled = true; /* here: the change has happened */
        has_happened = (total_id == me && total_sequence == word_sequence);
        if
        :: word_state == PENDING && !has_happened ->
            d_step {
                if
                :: state[me] == PENDING -> state[me] = IDLE; is_settled = false
                :: else
                fi
            }
        :: else
        fi;
        if
        :: is_settled -> used_pages[me] = after_pages[me]; state[me] = IDLE
        :: else
        fi
    fi
}

inline reap()
{
    if
    :: !is_empty ->
        rest(0);
        rest(1);
        difference = -(used_pages[0] + used_pages[1]);
        assert(difference <= 0);
        if
        :: difference < 0 -> change(0, difference)
        :: else
        fi;
        assert(truth[0] == 0);
        is_empty = true
    :: else
    fi;
    used_pages[0] = 0;
    used_pages[1] = 0
}

proctype reaper()
{
    LOCALS;

    threads_of_row_0 == 0;
again:
    {
        reap()
    } unless { is_reaper_killed };
    if
    :: is_reaper_killed -> d_step { is_reaper_killed = false }; goto again
    :: else
    fi;
    assert(truth[0] == 0 && total_pages == truth[1]);
    /* Row 0 anew, its sequences kept; nobody kills this one. */
    d_step { is_empty = false; held[0] = 0; before = 0 };
    difference = 1;
    change(0, difference);
    others--
}

proctype killer()
{
    is_killed = true;
    threads_of_row_0 == 0;
    is_reaper_killed = true
}

init
{
    atomic {
        threads_of_row_0 = 2;
        others = 2;
        run victim(0);
        run victim(1);
        run other(2);
        run reaper();
        run killer()
    };
    threads_of_row_0 == 0 && others == 0;
    assert(total_pages == truth[0] + truth[1]);
    assert(used_pages[0] + used_pages[1] == truth[0]);
    assert(used_pages[2] == truth[1])
}
