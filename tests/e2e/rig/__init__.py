# SPDX-License-Identifier: Apache-2.0
"""The parts of the end-to-end rig: certificates, a real server, a hostile network, a device."""
