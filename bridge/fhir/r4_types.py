"""Data types of FHIR R4 (4.0.1): what elements they have.

One line for each, wrapped: its name, and its elements as ``name:type``. ``!`` is needed, ``*`` comes often,
``[x]`` is one of several types (its name ends with the type's), and behind ``/`` stands the value set that
its codes must be of. What every resource has beside stands in `check.py`. Facts of hl7.org/fhir/R4; a test
holds them against a second opinion.
"""

from __future__ import annotations

from typing import Final

DATATYPES: Final = """
Address = city:string country:string district:string line*:string period:Period postalCode:string
  state:string text:string type:code/address-type use:code/address-use
Age = code:code comparator:code/quantity-comparator system:uri unit:string value:decimal
Annotation = author[x]:Reference|string text!:markdown time:dateTime
Attachment = contentType:code/mimetypes creation:dateTime data:base64Binary hash:base64Binary language:code
  size:unsignedInt title:string url:url
CodeableConcept = coding*:Coding text:string
Coding = code:code display:string system:uri userSelected:boolean version:string
ContactPoint = period:Period rank:positiveInt system:code/contact-point-system use:code/contact-point-use
  value:string
Count = code:code comparator:code/quantity-comparator system:uri unit:string value:decimal
Distance = code:code comparator:code/quantity-comparator system:uri unit:string value:decimal
Duration = code:code comparator:code/quantity-comparator system:uri unit:string value:decimal
HumanName = family:string given*:string period:Period prefix*:string suffix*:string text:string
  use:code/name-use
Identifier = assigner:Reference period:Period system:uri type:CodeableConcept use:code/identifier-use
  value:string
Meta = lastUpdated:instant profile*:canonical security*:Coding source:uri tag*:Coding versionId:id
Money = currency:code/currencies value:decimal
Narrative = div!:xhtml status!:code/narrative-status
Period = end:dateTime start:dateTime
Quantity = code:code comparator:code/quantity-comparator system:uri unit:string value:decimal
Range = high:Quantity low:Quantity
Ratio = denominator:Quantity numerator:Quantity
Reference = display:string identifier:Identifier reference:string type:uri
SampledData = data:string dimensions!:positiveInt factor:decimal lowerLimit:decimal origin!:Quantity
  period!:decimal upperLimit:decimal
Timing = code:CodeableConcept event*:dateTime repeat:Timing.repeat
Timing.repeat = bounds[x]:Duration|Period|Range count:positiveInt countMax:positiveInt
  dayOfWeek*:code/days-of-week duration:decimal durationMax:decimal durationUnit:code/units-of-time
  frequency:positiveInt frequencyMax:positiveInt offset:unsignedInt period:decimal periodMax:decimal
  periodUnit:code/units-of-time timeOfDay*:time when*:code/event-timing
Extension = url!:uri value[x]:any
"""
