// SPDX-License-Identifier: Apache-2.0
package gateway;

import java.util.Objects;
import java.util.function.BooleanSupplier;

/** What must hold. */
final class Check {
    private Check() {
    }

    static void same(Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            throw new IllegalStateException("got " + got + ", not " + wanted);
        }
    }

    /** Must fail, with a cause that says so. */
    static void refused(Runnable what, String text) {
        try {
            what.run();
        } catch (RuntimeException why) {
            for (Throwable cause = why; cause != null; cause = cause.getCause()) {
                if (text.equals(cause.getMessage())) {
                    return;
                }
            }
            throw why;
        }
        throw new IllegalStateException("it was not refused: " + text);
    }

    static void until(BooleanSupplier what) {
        for (long end = System.nanoTime() + 90_000_000_000L; !what.getAsBoolean();) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("what was waited for did not come");
            }
            try {
                Thread.sleep(20);
            } catch (InterruptedException why) {
                throw new IllegalStateException(why);
            }
        }
    }
}
