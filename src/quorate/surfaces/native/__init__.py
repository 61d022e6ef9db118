"""Our own API: workflows, access requests and approvals, field for field as the contract says."""
