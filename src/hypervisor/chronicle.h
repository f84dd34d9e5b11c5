#pragma once
/*
 * chronicle - what has happened to a tenant between two of its supervisor's words, as events.
 */
struct keeper;
struct keeper_status;
struct node;

void chronicle_compare(const struct node *node, const struct keeper *keeper,
                       const struct keeper_status *before);
