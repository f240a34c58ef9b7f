msg['FT1']['FT1.11']['FT1.11.1'] = plain(msg['FT1']['FT1.11']['FT1.11.1'].toString());
