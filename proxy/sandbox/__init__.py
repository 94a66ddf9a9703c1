"""The three systems around the proxy as small strict apps, with faults on demand."""

from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.faults import Fault
from proxy.sandbox.run import Sandbox, run_sandbox

__all__ = ["Fault", "Sandbox", "SandboxConfig", "run_sandbox"]
