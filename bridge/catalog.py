"""The standard catalog: every component that files can name, one line each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge.component import Catalog
from bridge.destinations import (
    acknowledgements,
    confirmations,
    consent_registry,
    consent_table,
    credentials,
    events,
    fhir_r4,
    file_out,
    http_api,
    mllp_send,
    oauth2,
    oauth2_jwt,
    sftp_out,
)
from bridge.formats import (
    delimited,
    edifact_format,
    fixed,
    hl7v2_format,
    json_records,
    x12_format,
    xml_format,
)
from bridge.governance import (
    classify,
    consent,
    contract,
    lifecycle,
    minimum_necessary,
    pin,
    target_guard,
)
from bridge.transports import file_drop, http_in, mllp, sftp

STANDARD: Final = Catalog(
    (
        mllp.COMPONENT,
        file_drop.COMPONENT,
        sftp.COMPONENT,
        http_in.COMPONENT,
        hl7v2_format.COMPONENT,
        x12_format.COMPONENT,
        edifact_format.COMPONENT,
        delimited.COMPONENT,
        fixed.COMPONENT,
        json_records.COMPONENT,
        xml_format.COMPONENT,
        http_api.COMPONENT,
        consent_table.COMPONENT,
        confirmations.COMPONENT,
        acknowledgements.COMPONENT,
        fhir_r4.COMPONENT,
        mllp_send.COMPONENT,
        file_out.COMPONENT,
        sftp_out.COMPONENT,
        events.COMPONENT,
        credentials.API_KEY,
        credentials.BASIC,
        oauth2.COMPONENT,
        oauth2_jwt.COMPONENT,
        # Policies are asked in this order.
        pin.COMPONENT,
        lifecycle.COMPONENT,
        classify.COMPONENT,
        replace(consent.COMPONENT, asks=consent_registry.ConsentRegistry),
        minimum_necessary.COMPONENT,
        contract.COMPONENT,
        target_guard.COMPONENT,
    )
)
