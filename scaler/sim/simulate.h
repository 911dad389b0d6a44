/*
 * albatross-scaler simulate: the command line of the simulation.  See docs/simulation.md.
 */
#ifndef SCALER_SIM_SIMULATE_H
#define SCALER_SIM_SIMULATE_H

/* argv[0] is "simulate".  Returns the exit status: 0; 1 what was given cannot be simulated; 2 the
 * command line is wrong. */
int sim_main(int argc, char **argv);

#endif
