// SPDX-License-Identifier: GPL-2.0
// INT, TERM, HUP and QUIT ask the driver to stop: the run in hand is ended, everything is restored
// and a partial summary printed. A second signal ends it at once; the guardian and the
// session's release() then clean up.
#ifndef FAULTLINE_ENGINE_STOP_HPP
#define FAULTLINE_ENGINE_STOP_HPP

namespace faultline {

void install_stop_signals();
int stop_signal(); // 0, or the signal that asked

// For the calling thread (an actor): the main thread answers signals.
void block_stop_signals();

} // namespace faultline

#endif // FAULTLINE_ENGINE_STOP_HPP
