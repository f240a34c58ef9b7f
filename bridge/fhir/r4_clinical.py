"""Clinical resources of FHIR R4 (4.0.1): what elements they have.

One line for each, wrapped: its name, and its elements as ``name:type``. ``!`` is needed, ``*`` comes often,
``[x]`` is one of several types (its name ends with the type's), and behind ``/`` stands the value set that
its codes must be of. What every resource has beside stands in `check.py`. Facts of hl7.org/fhir/R4; a test
holds them against a second opinion.
"""

from __future__ import annotations

from typing import Final

CLINICAL: Final = """
Patient = active:boolean address*:Address birthDate:date communication*:Patient.communication
  contact*:Patient.contact deceased[x]:boolean|dateTime gender:code/administrative-gender
  generalPractitioner*:Reference identifier*:Identifier link*:Patient.link managingOrganization:Reference
  maritalStatus:CodeableConcept multipleBirth[x]:boolean|integer name*:HumanName photo*:Attachment
  telecom*:ContactPoint
Patient.communication = language!:CodeableConcept preferred:boolean
Patient.contact = address:Address gender:code/administrative-gender name:HumanName organization:Reference
  period:Period relationship*:CodeableConcept telecom*:ContactPoint
Patient.link = other!:Reference type!:code/link-type
Encounter = account*:Reference appointment*:Reference basedOn*:Reference
  classHistory*:Encounter.classHistory class!:Coding diagnosis*:Encounter.diagnosis episodeOfCare*:Reference
  hospitalization:Encounter.hospitalization identifier*:Identifier length:Duration
  location*:Encounter.location partOf:Reference participant*:Encounter.participant period:Period
  priority:CodeableConcept reasonCode*:CodeableConcept reasonReference*:Reference serviceProvider:Reference
  serviceType:CodeableConcept status!:code/encounter-status statusHistory*:Encounter.statusHistory
  subject:Reference type*:CodeableConcept
Encounter.classHistory = class!:Coding period!:Period
Encounter.diagnosis = condition!:Reference rank:positiveInt use:CodeableConcept
Encounter.hospitalization = admitSource:CodeableConcept destination:Reference
  dietPreference*:CodeableConcept dischargeDisposition:CodeableConcept origin:Reference
  preAdmissionIdentifier:Identifier reAdmission:CodeableConcept specialArrangement*:CodeableConcept
  specialCourtesy*:CodeableConcept
Encounter.location = location!:Reference period:Period physicalType:CodeableConcept
  status:code/encounter-location-status
Encounter.participant = individual:Reference period:Period type*:CodeableConcept
Encounter.statusHistory = period!:Period status!:code/encounter-status
Observation = basedOn*:Reference bodySite:CodeableConcept category*:CodeableConcept code!:CodeableConcept
  component*:Observation.component dataAbsentReason:CodeableConcept derivedFrom*:Reference device:Reference
  effective[x]:Period|Timing|dateTime|instant encounter:Reference focus*:Reference hasMember*:Reference
  identifier*:Identifier interpretation*:CodeableConcept issued:instant method:CodeableConcept
  note*:Annotation partOf*:Reference performer*:Reference referenceRange*:Observation.referenceRange
  specimen:Reference status!:code/observation-status subject:Reference
  value[x]:CodeableConcept|Period|Quantity|Range|Ratio|SampledData|boolean|dateTime|integer|string|time
Observation.component = code!:CodeableConcept dataAbsentReason:CodeableConcept
  interpretation*:CodeableConcept referenceRange*:Observation.referenceRange
  value[x]:CodeableConcept|Period|Quantity|Range|Ratio|SampledData|boolean|dateTime|integer|string|time
Observation.referenceRange = age:Range appliesTo*:CodeableConcept high:Quantity low:Quantity text:string
  type:CodeableConcept
DiagnosticReport = basedOn*:Reference category*:CodeableConcept code!:CodeableConcept conclusion:string
  conclusionCode*:CodeableConcept effective[x]:Period|dateTime encounter:Reference identifier*:Identifier
  imagingStudy*:Reference issued:instant media*:DiagnosticReport.media performer*:Reference
  presentedForm*:Attachment result*:Reference resultsInterpreter*:Reference specimen*:Reference
  status!:code/diagnostic-report-status subject:Reference
DiagnosticReport.media = comment:string link!:Reference
ServiceRequest = asNeeded[x]:CodeableConcept|boolean authoredOn:dateTime basedOn*:Reference
  bodySite*:CodeableConcept category*:CodeableConcept code:CodeableConcept doNotPerform:boolean
  encounter:Reference identifier*:Identifier instantiatesCanonical*:canonical instantiatesUri*:uri
  insurance*:Reference intent!:code/request-intent locationCode*:CodeableConcept
  locationReference*:Reference note*:Annotation occurrence[x]:Period|Timing|dateTime
  orderDetail*:CodeableConcept patientInstruction:string performer*:Reference performerType:CodeableConcept
  priority:code/request-priority quantity[x]:Quantity|Range|Ratio reasonCode*:CodeableConcept
  reasonReference*:Reference relevantHistory*:Reference replaces*:Reference requester:Reference
  requisition:Identifier specimen*:Reference status!:code/request-status subject!:Reference
  supportingInfo*:Reference
Practitioner = active:boolean address*:Address birthDate:date communication*:CodeableConcept
  gender:code/administrative-gender identifier*:Identifier name*:HumanName photo*:Attachment
  qualification*:Practitioner.qualification telecom*:ContactPoint
Practitioner.qualification = code!:CodeableConcept identifier*:Identifier issuer:Reference period:Period
Organization = active:boolean address*:Address alias*:string contact*:Organization.contact
  endpoint*:Reference identifier*:Identifier name:string partOf:Reference telecom*:ContactPoint
  type*:CodeableConcept
Organization.contact = address:Address name:HumanName purpose:CodeableConcept telecom*:ContactPoint
Location = address:Address alias*:string availabilityExceptions:string description:string
  endpoint*:Reference hoursOfOperation*:Location.hoursOfOperation identifier*:Identifier
  managingOrganization:Reference mode:code/location-mode name:string operationalStatus:Coding
  partOf:Reference physicalType:CodeableConcept position:Location.position status:code/location-status
  telecom*:ContactPoint type*:CodeableConcept
Location.hoursOfOperation = allDay:boolean closingTime:time daysOfWeek*:code/days-of-week openingTime:time
Location.position = altitude:decimal latitude!:decimal longitude!:decimal
Appointment = appointmentType:CodeableConcept basedOn*:Reference cancelationReason:CodeableConcept
  comment:string created:dateTime description:string end:instant identifier*:Identifier
  minutesDuration:positiveInt participant!*:Appointment.participant patientInstruction:string
  priority:unsignedInt reasonCode*:CodeableConcept reasonReference*:Reference requestedPeriod*:Period
  serviceCategory*:CodeableConcept serviceType*:CodeableConcept slot*:Reference specialty*:CodeableConcept
  start:instant status!:code/appointmentstatus supportingInformation*:Reference
Appointment.participant = actor:Reference period:Period required:code/participantrequired
  status!:code/participationstatus type*:CodeableConcept
DocumentReference = authenticator:Reference author*:Reference category*:CodeableConcept
  content!*:DocumentReference.content context:DocumentReference.context custodian:Reference date:instant
  description:string docStatus:code/composition-status identifier*:Identifier masterIdentifier:Identifier
  relatesTo*:DocumentReference.relatesTo securityLabel*:CodeableConcept
  status!:code/document-reference-status subject:Reference type:CodeableConcept
DocumentReference.content = attachment!:Attachment format:Coding
DocumentReference.context = encounter*:Reference event*:CodeableConcept facilityType:CodeableConcept
  period:Period practiceSetting:CodeableConcept related*:Reference sourcePatientInfo:Reference
DocumentReference.relatesTo = code!:code/document-relationship-type target!:Reference
Immunization = doseQuantity:Quantity education*:Immunization.education encounter:Reference
  expirationDate:date fundingSource:CodeableConcept identifier*:Identifier isSubpotent:boolean
  location:Reference lotNumber:string manufacturer:Reference note*:Annotation occurrence[x]!:dateTime|string
  patient!:Reference performer*:Immunization.performer primarySource:boolean
  programEligibility*:CodeableConcept protocolApplied*:Immunization.protocolApplied
  reaction*:Immunization.reaction reasonCode*:CodeableConcept reasonReference*:Reference recorded:dateTime
  reportOrigin:CodeableConcept route:CodeableConcept site:CodeableConcept status!:code/immunization-status
  statusReason:CodeableConcept subpotentReason*:CodeableConcept vaccineCode!:CodeableConcept
Immunization.education = documentType:string presentationDate:dateTime publicationDate:dateTime
  reference:uri
Immunization.performer = actor!:Reference function:CodeableConcept
Immunization.protocolApplied = authority:Reference doseNumber[x]!:positiveInt|string series:string
  seriesDoses[x]:positiveInt|string targetDisease*:CodeableConcept
Immunization.reaction = date:dateTime detail:Reference reported:boolean
"""
